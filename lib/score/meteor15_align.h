// SPDX-License-Identifier: Apache-2.0
// METEOR 1.5's alignment (Denkowski and Lavie, 2014): all matches that its matchers propose, then a
// beam search for the set without overlaps that covers most, in the fewest chunks, over the least
// distance. What is equal to METEOR 1.5 is equal here: words are compared by Java's hash codes, and
// a path's distance also counts matches that were only tried from it.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "score/meteor15_data.h"

namespace nibble {

enum MeteorMatcher : uint8_t { kMeteorExact, kMeteorStem, kMeteorSynonym, kMeteorParaphrase };
inline constexpr size_t kMeteorMatchers = 4;

/// What matchers look at in a word.
struct MeteorWord {
  int32_t number = -1;  // that Paraphrases knows it by; -1: none
  int32_t hash = 0, stem_hash = 0;
  bool is_function = false;
  std::vector<int32_t> synonyms;  // its sets, in order
};
using MeteorWords = std::vector<const MeteorWord*>;

/// Words matched, of the hypothesis [0] and the reference [1].
struct MeteorCounts {
  std::array<std::array<double, 2>, kMeteorMatchers> content = {}, function = {};
  double chunks = 0.0;
};

/// `paraphrases` may be null.
MeteorCounts meteor_align(const MeteorWords& hypothesis, const MeteorWords& reference,
                          bool use_synonyms, const Paraphrases* paraphrases);

}  // namespace nibble
