// SPDX-License-Identifier: Apache-2.0
#include "model/gguf_vocab.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "base/error.h"
#include "base/quote.h"
#include "model/pretokenizers.h"
#include "text/unicode.h"

namespace nibble {
namespace {

constexpr std::string_view kKey = "tokenizer.ggml.";

// The metadata under tokenizer.ggml.
class Source {
 public:
  explicit Source(const GgufFile& file) : file_(file) {}

  [[noreturn]] void fail(const std::string& fault) const {
    throw DataError(cat(file_.file().path().string(), ": ", fault, "; convert the model again"));
  }
  [[noreturn]] void refuse(const std::string& what) const {
    throw UnavailableError(cat(file_.file().path().string(), ": ", what, " is not supported"));
  }
  std::string text(std::string_view key) const { return file_.text(cat(kKey, key), ""); }
  bool boolean(std::string_view key, bool otherwise) const {
    return file_.boolean(cat(kKey, key), otherwise);
  }
  std::optional<int32_t> id(std::string_view key, size_t vocab) const {
    const int64_t id = file_.integer(cat(kKey, key), -1);
    // Converters write 2^32 - 1 and the like for "none".
    if (id < 0 || id >= UINT32_MAX) return std::nullopt;
    if (static_cast<uint64_t>(id) >= vocab)
      fail(cat("metadata ", quote(cat(kKey, key)), " is ", id, " of ", vocab, " tokens"));
    return static_cast<int32_t>(id);
  }
  /// An array, nullptr where there is none; of `count` items unless that is 0.
  const GgufValue* list(std::string_view key, uint64_t count) const {
    const GgufValue* value = file_.find(cat(kKey, key));
    if (value && (!value->array || (count && value->count != count)))
      fail(cat("metadata ", quote(cat(kKey, key)), " is no list of ", count, " items"));
    return value;
  }
  template <class F>
  auto item(std::string_view key, uint64_t i, F get) const -> decltype(get()) {
    try {
      return get();
    } catch (const DataError& e) {
      fail(cat("metadata ", quote(cat(kKey, key)), ", item ", i, ": ", e.what()));
    }
  }
  const GgufFile& file() const { return file_; }

 private:
  const GgufFile& file_;
};

void read_tokens(const Source& in, int64_t model_vocab, GgufVocab& vocab) {
  const GgufValue* texts = in.list("tokens", 0);
  if (!texts || texts->count == 0) in.fail("no \"tokenizer.ggml.tokens\"");
  if (texts->count > static_cast<uint64_t>(model_vocab))
    in.fail(cat(texts->count, " tokens for an embedding of ", model_vocab, " rows"));
  const GgufValue* scores = in.list("scores", texts->count);
  const GgufValue* types = in.list("token_type", texts->count);
  std::unordered_set<std::string_view> seen;
  for (uint64_t i = 0; i < texts->count; ++i) {
    Piece piece;
    const std::string_view text = in.item("tokens", i, [&] { return texts->string(i); });
    if (!is_utf8(text)) in.fail(cat("token ", i, " (", quote(text), ") is not UTF-8"));
    if (!seen.insert(text).second) in.fail(cat("token ", i, " (", quote(text), ") comes twice"));
    piece.text = text;
    if (scores)
      piece.score = static_cast<float>(in.item("scores", i, [&] { return scores->number(i); }));
    if (types) {
      const int64_t type = in.item("token_type", i, [&] { return types->integer(i); });
      if (type < 1 || type > 6) in.fail(cat("token ", i, " has the unknown type ", type));
      piece.type = static_cast<PieceType>(type);
    }
    vocab.tokens.push_back(std::move(piece));
  }
  if (vocab.model == "llama" && !scores) in.fail("no \"tokenizer.ggml.scores\"");
}

void read_merges(const Source& in, GgufVocab& vocab) {
  const GgufValue* merges = in.list("merges", 0);
  if (!merges) in.fail("no \"tokenizer.ggml.merges\"");
  for (uint64_t i = 0; i < merges->count; ++i) {
    const std::string_view text = in.item("merges", i, [&] { return merges->string(i); });
    const size_t space = text.find(' ', 1);
    if (!is_utf8(text) || space == std::string_view::npos || space + 1 == text.size())
      in.fail(cat("merge ", i, " (", quote(text), ") is no pair"));
    vocab.merges.emplace_back(text);
  }
}

void read_specials(const Source& in, GgufVocab& vocab) {
  const size_t size = vocab.tokens.size();
  vocab.bos = in.id("bos_token_id", size);
  vocab.eos = in.id("eos_token_id", size);
  vocab.unk = in.id("unknown_token_id", size);
  vocab.pad = in.id("padding_token_id", size);
  for (const char* key : {"eos_token_id", "eot_token_id", "eom_token_id"})
    if (const auto id = in.id(key, size))
      if (std::find(vocab.stops.begin(), vocab.stops.end(), *id) == vocab.stops.end())
        vocab.stops.push_back(*id);
}

// Files without token types: what the ids and the text say.
void guess_types(const Source& in, GgufVocab& vocab) {
  if (in.list("token_type", 0)) return;
  for (const auto& id : {vocab.bos, vocab.eos, vocab.pad})
    if (id) vocab.tokens[static_cast<size_t>(*id)].type = PieceType::kControl;
  if (vocab.model != "llama") return;
  if (vocab.unk) vocab.tokens[static_cast<size_t>(*vocab.unk)].type = PieceType::kUnknown;
  for (Piece& piece : vocab.tokens)
    if (piece.text.size() == 6 && piece.text.starts_with("<0x") && piece.text.ends_with(">"))
      piece.type = PieceType::kByte;
}

// What SentencePiece's library demands of a model.
void check_pieces(const Source& in, GgufVocab& vocab) {
  int64_t unknown = 0, bytes = 0;
  for (size_t i = 0; i < vocab.tokens.size(); ++i) {
    const Piece& piece = vocab.tokens[i];
    if (piece.text.empty() || piece.text.find('\0') != std::string::npos)
      in.fail(cat("token ", i, " (", quote(piece.text), ") is no piece of text"));
    bytes += piece.type == PieceType::kByte;
    if (piece.type != PieceType::kUnknown) continue;
    ++unknown;
    vocab.unk = static_cast<int32_t>(i);
  }
  if (unknown != 1) in.fail(cat(unknown, " tokens are of type unknown, not one"));
  if (bytes != 0 && bytes != 256) in.fail(cat(bytes, " tokens are of type byte, not 256"));
}

Json added_token(const Piece& piece) {
  return Json::object({{"content", piece.text},
                       {"single_word", false},
                       {"lstrip", false},
                       {"rstrip", false},
                       {"normalized", false},
                       {"special", piece.type != PieceType::kUserDefined}});
}

bool is_added(const GgufVocab& vocab, const Piece& piece) {
  return piece.type == PieceType::kControl || piece.type == PieceType::kUserDefined ||
         (piece.type == PieceType::kUnknown && vocab.model == "llama");
}

Json tokenizer_config(const GgufVocab& vocab) {
  const auto text = [&](std::optional<int32_t> id) -> Json {
    if (!id) return nullptr;
    return vocab.tokens[static_cast<size_t>(*id)].text;
  };
  Json::Object added;
  for (size_t i = 0; i < vocab.tokens.size(); ++i)
    if (is_added(vocab, vocab.tokens[i])) added.emplace_back(cat(i), added_token(vocab.tokens[i]));
  Json config = Json::object();
  config.set("add_bos_token", vocab.add_bos);
  config.set("add_eos_token", vocab.add_eos);
  if (vocab.model == "llama") config.set("add_prefix_space", vocab.add_space_prefix);
  config.set("added_tokens_decoder", std::move(added));
  config.set("bos_token", text(vocab.bos));
  config.set("eos_token", text(vocab.eos));
  config.set("pad_token", text(vocab.pad));
  config.set("unk_token", text(vocab.unk));
  if (!vocab.chat_template.empty()) config.set("chat_template", vocab.chat_template);
  config.set("clean_up_tokenization_spaces", false);
  if (vocab.model == "llama") config.set("legacy", true);
  if (vocab.context_length > 0) config.set("model_max_length", vocab.context_length);
  config.set("tokenizer_class",
             vocab.model == "llama" ? "LlamaTokenizer" : "PreTrainedTokenizerFast");
  return config;
}

// The beginning- and end-of-text tokens around every text.
Json template_processing(const GgufVocab& vocab) {
  Json::Object specials;
  const auto special = [&](int32_t id) {
    const std::string& text = vocab.tokens[static_cast<size_t>(id)].text;
    specials.emplace_back(text, Json::object({{"id", text},
                                              {"ids", Json::array({int64_t{id}})},
                                              {"tokens", Json::array({text})}}));
    return Json::object({{"SpecialToken", Json::object({{"id", text}, {"type_id", 0}})}});
  };
  Json::Array single;
  if (vocab.add_bos && vocab.bos) single.push_back(special(*vocab.bos));
  single.push_back(Json::object({{"Sequence", Json::object({{"id", "A"}, {"type_id", 0}})}}));
  if (vocab.add_eos && vocab.eos) single.push_back(special(*vocab.eos));
  Json::Array pair = single;
  pair.push_back(Json::object({{"Sequence", Json::object({{"id", "B"}, {"type_id", 1}})}}));
  return Json::object({{"type", "TemplateProcessing"},
                       {"single", std::move(single)},
                       {"pair", std::move(pair)},
                       {"special_tokens", std::move(specials)}});
}

Json tokenizer_json(const GgufVocab& vocab) {
  const auto pre = find_pretokenizer(vocab.pre);
  CHECK(pre);
  Json::Array added, merges;
  Json::Object ids;
  for (size_t i = 0; i < vocab.tokens.size(); ++i) {
    const Piece& piece = vocab.tokens[i];
    if (piece.type == PieceType::kUnused) continue;  // fills the embedding up
    ids.emplace_back(piece.text, uint64_t{i});
    if (!is_added(vocab, piece)) continue;
    Json token = added_token(piece);
    token.as_object().emplace(token.as_object().begin(), "id", uint64_t{i});
    added.push_back(std::move(token));
  }
  for (const std::string& merge : vocab.merges) {
    const size_t space = merge.find(' ', 1);
    merges.push_back(Json::array({merge.substr(0, space), merge.substr(space + 1)}));
  }
  const bool wrapped = (vocab.add_bos && vocab.bos) || (vocab.add_eos && vocab.eos);
  const Json byte_level = Json::object({{"type", "ByteLevel"},
                                        {"add_prefix_space", false},
                                        {"trim_offsets", true},
                                        {"use_regex", true}});
  return Json::object({{"version", "1.0"},
                       {"truncation", nullptr},
                       {"padding", nullptr},
                       {"added_tokens", std::move(added)},
                       {"normalizer", pre->nfc ? Json::object({{"type", "NFC"}}) : Json()},
                       {"pre_tokenizer", pre->pre_tokenizer},
                       {"post_processor", wrapped ? template_processing(vocab) : byte_level},
                       {"decoder", byte_level},
                       {"model", Json::object({{"type", "BPE"},
                                               {"dropout", nullptr},
                                               {"unk_token", nullptr},
                                               {"continuing_subword_prefix", nullptr},
                                               {"end_of_word_suffix", nullptr},
                                               {"fuse_unk", false},
                                               {"byte_fallback", false},
                                               {"ignore_merges", pre->ignore_merges},
                                               {"vocab", std::move(ids)},
                                               {"merges", std::move(merges)}})}});
}

}  // namespace

GgufVocab read_gguf_vocab(const GgufFile& file, int64_t model_vocab) {
  const Source in(file);
  GgufVocab vocab;
  vocab.model = in.text("model");
  if (vocab.model.empty()) in.fail("no \"tokenizer.ggml.model\"");
  if (vocab.model != "llama" && vocab.model != "gpt2")
    in.refuse(cat("the tokenizer ", quote(vocab.model)));
  std::optional<Pretokenizer> pre;
  if (vocab.model == "gpt2") {
    vocab.pre = in.text("pre");
    if (vocab.pre.empty())
      in.fail("no \"tokenizer.ggml.pre\", without which words cannot be told apart");
    pre = find_pretokenizer(vocab.pre);
    if (!pre)
      in.refuse(cat("the pre-tokenizer ", quote(vocab.pre),
                    " (of those known: ", known_pretokenizers(), ")"));
  }
  read_tokens(in, model_vocab, vocab);
  if (vocab.model == "gpt2") read_merges(in, vocab);
  read_specials(in, vocab);
  guess_types(in, vocab);
  if (vocab.model == "llama") check_pieces(in, vocab);
  vocab.add_bos = in.boolean("add_bos_token", pre ? pre->add_bos : true);
  vocab.add_eos = in.boolean("add_eos_token", false);
  vocab.add_space_prefix = in.boolean("add_space_prefix", true);
  vocab.chat_template = file.text("tokenizer.chat_template", "");
  const std::string architecture = file.text("general.architecture", "");
  vocab.context_length = file.integer(architecture + ".context_length", 0);
  if (!is_utf8(vocab.chat_template)) in.fail("the chat template is not UTF-8");
  return vocab;
}

void write_tokenizer_files(const GgufVocab& vocab, const fs::path& folder) {
  if (vocab.model == "llama") {
    const SentencePieceModel model{.pieces = vocab.tokens,
                                   .add_dummy_prefix = vocab.add_space_prefix,
                                   .unk = vocab.unk.value_or(-1),
                                   .bos = vocab.bos.value_or(-1),
                                   .eos = vocab.eos.value_or(-1),
                                   .pad = vocab.pad.value_or(-1)};
    write_text_file(folder / "tokenizer.model", write_sentencepiece(model));
  } else {
    write_text_file(folder / "tokenizer.json", tokenizer_json(vocab).dump() + "\n");
  }
  write_text_file(folder / "tokenizer_config.json", tokenizer_config(vocab).dump(2) + "\n");
}

}  // namespace nibble
