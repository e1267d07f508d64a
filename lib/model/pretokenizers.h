// SPDX-License-Identifier: Apache-2.0
// How byte-level BPE cuts text into words before merging: the pre-tokenizers that GGUF calls by a
// name (tokenizer.ggml.pre) and tokenizer.json spells out.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "io/json.h"

namespace nibble {

struct Pretokenizer {
  Json pre_tokenizer;          // tokenizer.json's member of that name
  bool nfc = false;            // normalise to Unicode's form C first
  bool ignore_merges = false;  // a word that is a token is taken whole
  bool add_bos = false;        // by default, where the file does not say
};

/// By GGUF's name; nothing for a name that is not known.
std::optional<Pretokenizer> find_pretokenizer(std::string_view name);

/// The names above, for messages.
std::string known_pretokenizers();

/// The GGUF name of what a tokenizer.json does; nothing where no known one does the same.
std::optional<std::string> pretokenizer_name(const Json& tokenizer);

}  // namespace nibble
