// SPDX-License-Identifier: Apache-2.0
// The tokenizer of a tokenizer.json: byte-level BPE (GPT-2, Llama 3, Qwen, SmolLM2), and BPE over
// characters as converted from SentencePiece (Llama 2, Mistral).
#pragma once

#include "io/json.h"
#include "text/bpe.h"
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"
#include "text/vocabulary.h"

namespace nibble {

class JsonTokenizer : public VocabularyTokenizer {
 public:
  /// Throws DataError and UnavailableError without a place.
  JsonTokenizer(const Json& document, const TokenizerConfig& config);

  TextPlace encode_at(TextPlace place, std::string_view text, SpecialText special,
                      std::vector<int32_t>& ids) const override;

 protected:
  int32_t model_token_id(std::string_view text) const override;

 private:
  void read_model(const Json& model);
  void read_vocabulary(const Json& vocabulary);
  void read_merges(const Json& merges);
  void read_added(const Json& document, const TokenizerConfig& config);
  void read_post_processor(const Json& spec);
  void read_decoder(const Json& spec);
  bool cuts_at_spaces() const;
  void encode_section(TextPlace place, std::string_view text, std::vector<int32_t>& ids) const;

  Normalizer normalizer_;
  PreTokenizer pre_tokenizer_;
  Bpe bpe_;
  StringTable unspelled_;  // byte-level: tokens whose text spells no bytes
  AddedTokenFinder raw_, normalized_;
  std::string merge_rules_;  // for the fingerprint, until it is made
  bool joins_over_spaces_ = false;
};

}  // namespace nibble
