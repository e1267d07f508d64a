// SPDX-License-Identifier: Apache-2.0
// A tokenizer with tokens added, as transformers' add_tokens numbers and stores them: a token that
// the vocabulary has keeps its id, the others follow the largest one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/added_tokens.h"
#include "text/tokenizer.h"

namespace nibble {

/// Reads a list of tokens, one a line, empty lines skipped: the token's text, found in texts as it
/// stands; or, where the line starts with "{", an entry as in tokenizer.json's "added_tokens"
/// ("content", "special", "lstrip", "rstrip", "single_word", "normalized"). Throws DataError naming
/// the line, for a token listed twice and for an empty list too.
std::vector<AddedToken> read_token_list(const std::string& path);

/// The tokenizer of a model's folder (or file), with the tokens of a list added where one is named.
std::unique_ptr<Tokenizer> load_tokenizer(const fs::path& path, const std::string& token_list);

class ExtendedTokenizer {
 public:
  /// `folder` holds the tokenizer's files. Tokens that it has already are left out.
  ExtendedTokenizer(const fs::path& folder, std::vector<AddedToken> tokens);

  const Tokenizer& tokenizer() const { return *tokenizer_; }
  std::unique_ptr<Tokenizer> take() { return std::move(tokenizer_); }
  /// What was added, with ids.
  const std::vector<AddedToken>& added() const { return added_; }

  /// Writes the files of the extended tokenizer; load_tokenizer makes it of them.
  void write(const fs::path& to) const;

 private:
  fs::path folder_;
  std::vector<AddedToken> added_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

}  // namespace nibble
