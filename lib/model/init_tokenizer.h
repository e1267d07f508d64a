// SPDX-License-Identifier: Apache-2.0
// The tokenizer of a new model: trained on text, copied, or none.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "io/json.h"

namespace nibble {

struct InitTokenizer {
  std::vector<std::string> corpus;    // text files to train on
  std::string source;                 // or a model folder, a tokenizer.model or tokenizer.json
  std::optional<int64_t> vocab_size;  // pieces to train, or rows of the embedding
  uint64_t seed = 0;
  int threads = 1;
};

/// Writes the tokenizer's files into `folder` and sets vocab_size and the special tokens' ids in
/// `config`. Throws UsageError where the sizes do not agree.
void init_tokenizer(const fs::path& folder, Json& config, const InitTokenizer& options);

}  // namespace nibble
