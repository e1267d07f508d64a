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

void write_gguf_vocab(const GgufVocab& vocab, GgufMetadata& metadata) {
  const auto key = [](std::string_view name) { return cat(kKey, name); };
  metadata.string(key("model"), vocab.model);
  metadata.string(key("pre"), vocab.model == "gpt2" ? vocab.pre : "default");
  std::vector<std::string> texts;
  std::vector<float> scores;
  std::vector<int32_t> types;
  for (const Piece& piece : vocab.tokens) {
    texts.push_back(piece.text);
    scores.push_back(piece.score);
    types.push_back(static_cast<int32_t>(piece.type));
  }
  metadata.strings(key("tokens"), texts);
  if (vocab.model == "llama") metadata.f32s(key("scores"), scores);
  metadata.i32s(key("token_type"), types);
  if (vocab.model == "gpt2") metadata.strings(key("merges"), vocab.merges);
  const auto id = [&](std::string_view name, std::optional<int32_t> value) {
    if (value) metadata.u32(key(name), static_cast<uint32_t>(*value));
  };
  id("bos_token_id", vocab.bos);
  id("eos_token_id", vocab.eos);
  id("unknown_token_id", vocab.unk);
  id("padding_token_id", vocab.pad);
  // What ends a turn besides eos.
  std::vector<int32_t> others;
  for (const int32_t stop : vocab.stops)
    if (stop != vocab.eos) others.push_back(stop);
  if (!others.empty()) id("eot_token_id", others[0]);
  if (others.size() > 1) id("eom_token_id", others[1]);
  metadata.boolean(key("add_bos_token"), vocab.add_bos);
  metadata.boolean(key("add_eos_token"), vocab.add_eos);
  metadata.boolean(key("add_space_prefix"), vocab.model == "llama" && vocab.add_space_prefix);
  if (!vocab.chat_template.empty()) metadata.string("tokenizer.chat_template", vocab.chat_template);
}

}  // namespace nibble
