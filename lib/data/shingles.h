// SPDX-License-Identifier: Apache-2.0
// Shingles: the set of a text's n-grams, of words or of characters, as hashes of 64 bits. A text
// shorter than an n-gram is one shingle as a whole; one without words has none.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nibble {

struct ShingleRules {
  bool characters = false;
  int64_t length = 3;
};
/// "words:3" or "chars:5". Throws UsageError.
ShingleRules parse_shingle_rules(const std::string& text);

/// The shingles of several texts, none across two, each once, sorted. Texts are taken as
/// append_words makes them: characters are those of the words with one space between.
void make_shingles(const ShingleRules& rules, std::span<const std::string_view> texts,
                   std::vector<uint64_t>& shingles);

/// |A and B| / |A or B| of two sets, sorted; 0 where both are empty.
double jaccard(std::span<const uint64_t> a, std::span<const uint64_t> b);

}  // namespace nibble
