// SPDX-License-Identifier: Apache-2.0
// The tokenizer of a SentencePiece .model, encoded by the library. Around it, what Hugging Face's
// Llama and Mistral tokenizers do: control and user-defined pieces are found in the text as added
// tokens; before the text between them stands a space, by one of two rules:
//
//   legacy (the default, and SentencePiece's own): before each part, even where a space is there
//   "legacy": false in tokenizer_config.json: only before the text's start, unless a space is there
#pragma once

#include <memory>

#include "text/added_tokens.h"
#include "text/sentencepiece_file.h"
#include "text/vocabulary.h"

namespace sentencepiece {
class SentencePieceProcessor;
}

namespace nibble {

class WordCache;

class SentencePieceTokenizer : public VocabularyTokenizer {
 public:
  /// Throws DataError and UnavailableError without a place.
  SentencePieceTokenizer(std::string_view model, const TokenizerConfig& config);
  ~SentencePieceTokenizer() override;

  TextPlace encode_at(TextPlace place, std::string_view text, SpecialText special,
                      std::vector<int32_t>& ids) const override;

 protected:
  int32_t model_token_id(std::string_view text) const override;

 private:
  void read_pieces(const SentencePieceFile& file, const TokenizerConfig& config);
  void encode_section(TextPlace place, std::string_view text, std::vector<int32_t>& ids) const;
  void encode_word(std::string_view word, WordCache& cache, std::vector<int32_t>& ids) const;
  void library_encode(std::string_view text, std::vector<int32_t>& ids) const;

  std::unique_ptr<sentencepiece::SentencePieceProcessor> processor_;
  AddedTokenFinder finder_;
  bool plain_ = false;  // text goes through as it is but for spaces: prefix and cuts are ours
  bool cuts_ = false;   // and may be cut at spaces
  bool prefix_ = true, legacy_ = true;
  uint64_t owner_;
};

}  // namespace nibble
