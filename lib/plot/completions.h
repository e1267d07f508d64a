// SPDX-License-Identifier: Apache-2.0
// Completions as nibble-generate writes them, to be shown.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nibble {

struct Completion {
  std::string prompt;  // "prompt", or the messages with their roles, or the record's other texts
  std::string text;
};

/// `count` of the file's completions, evenly spread. Throws DataError for a record without one.
std::vector<Completion> read_completions(const std::string& path, int64_t count);

}  // namespace nibble
