// SPDX-License-Identifier: Apache-2.0
#include "text/sentencepiece_tokenizer.h"

#include <sentencepiece_processor.h>
#include <simdjson.h>

#include <algorithm>

#include "base/error.h"
#include "text/sha256.h"
#include "text/space_mark.h"
#include "text/unicode.h"
#include "text/word_cache.h"

namespace nibble {

SentencePieceTokenizer::SentencePieceTokenizer(std::string_view model,
                                               const TokenizerConfig& config)
    : processor_(std::make_unique<sentencepiece::SentencePieceProcessor>()),
      owner_(WordCache::new_owner()) {
  const SentencePieceFile file = parse_sentencepiece(model);
  if (file.whitespace_suffix)
    throw UnavailableError("SentencePiece with treat_whitespace_as_suffix is not supported");
  prefix_ = config.add_prefix_space.value_or(file.add_dummy_prefix);
  legacy_ = config.legacy.value_or(true);
  plain_ = !file.normalizes && !file.remove_extra_whitespaces && file.escape_whitespaces;
  if (!plain_ && (!legacy_ || prefix_ != file.add_dummy_prefix))
    throw UnavailableError(
        "a SentencePiece model that normalises text works with its own prefix rule only; take "
        "\"legacy\" and \"add_prefix_space\" out of tokenizer_config.json");
  const auto status = processor_->LoadFromSerializedProto(plain_ ? without_dummy_prefix(model)
                                                                 : std::string(model));
  if (!status.ok()) throw DataError(cat("SentencePiece refuses the model: ", status.ToString()));

  spelling_ = Spelling::kSpaceMark;
  strips_first_space_ = prefix_;
  read_pieces(file, config);
  const auto id_of = [](int id) { return id < 0 ? std::nullopt : std::optional<int32_t>(id); };
  bos = id_of(processor_->bos_id());
  eos = id_of(processor_->eos_id());
  pad = id_of(processor_->pad_id());
  unk = id_of(processor_->unk_id());
  add_bos = bos.has_value();
  take_config(config);
  finder_ = AddedTokenFinder(added_);
  fingerprint = sha256_hex(cat("tokenizer.model\n", sha256_hex(model), "\nprefix ", int{prefix_},
                               " legacy ", int{legacy_}, "\n", rules_text()));
}

SentencePieceTokenizer::~SentencePieceTokenizer() = default;

void SentencePieceTokenizer::read_pieces(const SentencePieceFile& file,
                                         const TokenizerConfig& config) {
  for (const AddedToken& a : config.added) {
    AddedToken token = a;
    token.normalized = false;  // there is no normaliser here
    add_token(token);
  }
  cuts_ = plain_ && file.model == SentencePieceFile::Model::kBpe && file.byte_fallback;
  for (size_t i = 0; i < file.pieces.size(); ++i) {
    const SentencePieceFile::Piece& piece = file.pieces[i];
    const auto id = static_cast<int32_t>(i);
    if (joins_over_space(piece.text)) cuts_ = false;
    if (has_token(id)) continue;  // renamed by the configuration
    const bool control = piece.type == PieceType::kControl;
    if (control || piece.type == PieceType::kUserDefined || piece.type == PieceType::kUnknown) {
      const bool special = piece.type != PieceType::kUserDefined;
      if (!piece.text.empty()) add_token({.text = piece.text, .id = id, .special = special});
    } else {
      const bool byte = piece.type == PieceType::kByte;
      if (byte && !byte_of_name(piece.text))
        throw DataError(cat("byte piece \"", piece.text, "\" names no byte"));
      set_token(id, piece.text, byte ? Kind::kByte : Kind::kNormal, false);
    }
  }
}

int32_t SentencePieceTokenizer::model_token_id(std::string_view text) const {
  const int id = processor_->PieceToId(absl::string_view(text.data(), text.size()));
  return processor_->IdToPiece(id) == text ? id : -1;
}

TextPlace SentencePieceTokenizer::encode_at(TextPlace place, std::string_view text,
                                            SpecialText special, std::vector<int32_t>& ids) const {
  thread_local std::string repaired;
  thread_local std::vector<Section> sections;
  if (!simdjson::validate_utf8(text)) text = repaired = lossy_utf8(text);
  sections.clear();
  finder_.cut(text, special, sections);
  for (const Section& section : sections) {
    if (section.id >= 0)
      ids.push_back(section.id);
    else
      encode_section(place, section.text, ids);
    place = section.id >= 0 ? TextPlace::kAfterToken : TextPlace::kAfterText;
  }
  return place;
}

void SentencePieceTokenizer::encode_section(TextPlace place, std::string_view text,
                                            std::vector<int32_t>& ids) const {
  if (!plain_) {
    if (place == TextPlace::kAfterText)
      throw UnavailableError(
          "text after text is not supported by a SentencePiece model that normalises");
    return library_encode(text, ids);
  }
  thread_local std::string marked;
  marked.clear();
  const bool spaced = text.starts_with(' ') || text.starts_with(kSpaceMark);
  const bool wanted =
      legacy_ ? place != TextPlace::kAfterText : place == TextPlace::kStart && !spaced;
  if (prefix_ && wanted) marked = kSpaceMark;
  append_marked(marked, text);
  if (!cuts_) return library_encode(marked, ids);
  WordCache& cache = WordCache::of(owner_);
  cut_at_spaces(marked, [&](std::string_view word) { encode_word(word, cache, ids); });
}

void SentencePieceTokenizer::encode_word(std::string_view word, WordCache& cache,
                                         std::vector<int32_t>& ids) const {
  if (cache.find(word, ids)) return;
  const size_t before = ids.size();
  library_encode(word, ids);
  cache.put(word, ids.data() + before, ids.size() - before);
}

void SentencePieceTokenizer::library_encode(std::string_view text,
                                            std::vector<int32_t>& ids) const {
  thread_local std::vector<int> out;
  const auto status = processor_->Encode(absl::string_view(text.data(), text.size()), &out);
  if (!status.ok()) throw DataError(cat("SentencePiece cannot encode: ", status.ToString()));
  ids.insert(ids.end(), out.begin(), out.end());
}

}  // namespace nibble
