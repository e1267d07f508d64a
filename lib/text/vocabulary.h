// SPDX-License-Identifier: Apache-2.0
// The tokens of a tokenizer by id: how each is spelled in the vocabulary, which bytes it stands
// for, which are special; and decoding, which is the same for every kind of model.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/added_tokens.h"
#include "text/tokenizer.h"
#include "text/tokenizer_config.h"

namespace nibble {

/// How the vocabulary spells text: bytes as 256 printable characters (GPT-2), or spaces as "▁"
/// with <0xNN> for bytes (SentencePiece).
enum class Spelling : uint8_t { kByteLevel, kSpaceMark };

/// Appends the bytes that a byte-level spelling stands for; false, and nothing is appended, where a
/// character is none of the 256.
bool append_bytes_of_spelling(std::string& out, std::string_view spelled);
/// The value of "<0x0A>"; nothing for other text.
std::optional<uint8_t> byte_of_name(std::string_view text);

class VocabularyTokenizer : public Tokenizer {
 public:
  std::string decode(const int32_t* ids, size_t count, bool skip_special) const override;
  void append_token_bytes(int32_t id, std::string& out) const override;
  int32_t vocab_size() const override { return static_cast<int32_t>(tokens_.size()); }
  std::string token_text(int32_t id) const override;
  std::optional<int32_t> token_id(std::string_view text) const override;
  bool is_special(int32_t id) const override;

 protected:
  enum class Kind : uint8_t { kMissing, kNormal, kByte, kAdded };

  /// Throws DataError where the id is taken by another text.
  void set_token(int32_t id, std::string_view text, Kind kind, bool special);
  /// Adds a token of a list to tokens and `added_`; a token named again keeps its first entry.
  void add_token(const AddedToken& token);
  bool has_token(int32_t id) const {
    return id >= 0 && static_cast<size_t>(id) < tokens_.size() &&
           tokens_[static_cast<size_t>(id)].kind != Kind::kMissing;
  }
  /// What decoding writes for an added token that is found as other text than its own.
  void set_decoded(int32_t id, std::string text) { decoded_[id] = std::move(text); }
  /// Looks text up among the model's own tokens: -1 where it is none.
  virtual int32_t model_token_id(std::string_view text) const = 0;
  /// Takes bos, eos, pad, unk and the template; ids in `config` stand where no text does. `add_bos`
  /// and `add_eos` are the model's own rule, and config's word on them goes first.
  void take_config(const TokenizerConfig& config);
  /// What decides ids besides the model: added tokens and the rules for bos and eos.
  std::string rules_text() const;

  Spelling spelling_ = Spelling::kByteLevel;
  bool strips_first_space_ = false;  // decoding drops one space at the very start
  std::vector<AddedToken> added_;    // by id

 private:
  struct Token {
    size_t offset = 0;
    uint32_t size = 0;
    Kind kind = Kind::kMissing;
    bool special = false;
  };
  std::string_view text_of(const Token& token) const {
    return std::string_view(texts_).substr(token.offset, token.size);
  }
  std::vector<Token> tokens_;
  std::string texts_;
  std::unordered_map<std::string, int32_t> added_ids_;
  std::unordered_map<int32_t, std::string> decoded_;
};

}  // namespace nibble
