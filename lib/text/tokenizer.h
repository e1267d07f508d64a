// SPDX-License-Identifier: Apache-2.0
// Tokenizer: text to token ids and back, whatever the model ships: SentencePiece (tokenizer.model,
// through the library), or tokenizer.json (byte-level BPE, and SentencePiece-style BPE), with
// added and special tokens. Equal to Hugging Face's fast tokenizers id for id.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/file.h"
#include "text/sha256.h"

namespace nibble {

/// Whether "<s>" in the text becomes the special token (Hugging Face: always does), or is text like
/// any other (for text that users wrote).
enum class SpecialText : bool { kParse, kLiteral };

/// What stands before a text: nothing, a special or other added token, or more text. Tokenizers
/// that put a space before the first word look at it.
enum class TextPlace : uint8_t { kStart, kAfterToken, kAfterText };

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// Ids of `text`, without bos or eos. Appends to `ids`. Bytes that are no UTF-8 are read as
  /// U+FFFD, one for each maximal part, as Python's errors="replace" does.
  void encode(std::string_view text, SpecialText special, std::vector<int32_t>& ids) const {
    encode_at(TextPlace::kStart, text, special, ids);
  }
  /// The same for a text that goes on from another, with a token boundary between the two, as when
  /// an answer follows a prompt that has been encoded by itself. Returns what the next text after
  /// it follows. Throws UnavailableError where the model can encode whole texts only.
  virtual TextPlace encode_at(TextPlace place, std::string_view text, SpecialText special,
                              std::vector<int32_t>& ids) const = 0;
  /// Bytes of the tokens, exact, special tokens as their text, or nothing with skip_special. The
  /// result may end inside a UTF-8 character: see Utf8Stream.
  virtual std::string decode(const int32_t* ids, size_t count, bool skip_special) const = 0;

  /// Appends the bytes of one token as it stands inside a text (decode drops the space that
  /// SentencePiece puts before the first word; this does not). For streaming, with Utf8Stream.
  virtual void append_token_bytes(int32_t id, std::string& out) const = 0;

  /// One more than the largest id.
  virtual int32_t vocab_size() const = 0;
  /// As the vocabulary spells it ("Ġthe", "▁the", "<s>"); empty for an id that has no token.
  virtual std::string token_text(int32_t id) const = 0;
  virtual std::optional<int32_t> token_id(std::string_view text) const = 0;
  virtual bool is_special(int32_t id) const = 0;

  // From tokenizer_config.json, generation_config.json, special_tokens_map.json, or the model file.
  std::optional<int32_t> bos, eos, pad, unk;
  bool add_bos = false;  // whether encoding a text starts with bos by the model's own rule
  bool add_eos = false;
  std::string chat_template;       // Jinja source; empty: none
  std::string tool_chat_template;  // the model's own for conversations with tools; empty: the same

  /// SHA-256 (hex) over everything that decides ids: model data, added tokens, rules. Two folders
  /// with equal fingerprints tokenize alike.
  std::string fingerprint;

  std::vector<int32_t> encode(std::string_view text,
                              SpecialText special = SpecialText::kParse) const {
    std::vector<int32_t> ids;
    encode(text, special, ids);
    return ids;
  }
};

/// Loads the tokenizer of a model folder (tokenizer.json, else tokenizer.model), or of one file.
/// Throws NoInputError where there is none, DataError naming file and fault, UnavailableError for a
/// kind that is not supported, by name.
std::unique_ptr<Tokenizer> load_tokenizer(const fs::path& path);

/// Joins decoded pieces into whole UTF-8 characters, for streaming: returns what is complete and
/// keeps the rest. flush() gives what is left.
class Utf8Stream {
 public:
  std::string push(std::string_view bytes);
  std::string flush();

 private:
  std::string pending_;
};

}  // namespace nibble
