// SPDX-License-Identifier: Apache-2.0
#include "model/tokenizer_files.h"

#include "base/error.h"
#include "model/pretokenizers.h"
#include "text/sentencepiece_file.h"
#include "text/tokenizer.h"

namespace nibble {
namespace {

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

void write_tokenizer_files(const GgufVocab& vocab, const fs::path& folder) {
  if (vocab.model == "llama") {
    const SentencePieceModel model{.pieces = vocab.tokens,
                                   .add_dummy_prefix = vocab.add_space_prefix,
                                   .unk = vocab.unk,
                                   .bos = vocab.bos,
                                   .eos = vocab.eos,
                                   .pad = vocab.pad};
    write_text_file(folder / "tokenizer.model", write_sentencepiece(model));
  } else {
    write_text_file(folder / "tokenizer.json", tokenizer_json(vocab).dump() + "\n");
  }
  write_tokenizer_config(vocab, folder);
}

void write_tokenizer_config(const GgufVocab& vocab, const fs::path& folder) {
  write_text_file(folder / "tokenizer_config.json", tokenizer_config(vocab).dump(2) + "\n");
}

GgufVocab sentencepiece_vocab(const fs::path& path) {
  const auto tokenizer = load_tokenizer(path);  // checks that the library takes it
  const MappedFile file(path);
  SentencePieceFile model;
  try {
    model = parse_sentencepiece(file.text());
  } catch (const DataError& e) {
    throw DataError(cat(path.string(), ": ", e.what()));
  }
  GgufVocab vocab{.model = "llama",
                  .tokens = std::move(model.pieces),
                  .bos = tokenizer->bos,
                  .eos = tokenizer->eos,
                  .unk = tokenizer->unk,
                  .pad = tokenizer->pad,
                  .add_bos = tokenizer->add_bos,
                  .add_space_prefix = model.add_dummy_prefix};
  if (vocab.eos) vocab.stops = {*vocab.eos};
  return vocab;
}

}  // namespace nibble
