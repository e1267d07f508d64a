// SPDX-License-Identifier: Apache-2.0
// Contamination: whether a text has an n-gram of words in common with benchmarks, as GPT-3's
// authors looked for it (Brown et al. 2020, appendix C: n of 8 to 13). A benchmark's text of fewer
// words is looked for as a whole where it has at least 8, or n; shorter ones say too little.
//
// Memory: 12 bytes an n-gram of the benchmarks, in a table 37% to 75% full.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/flat_table.h"

namespace nibble {

class NgramSet {
 public:
  static constexpr int64_t kShortest = 8;
  /// length: words of an n-gram, 1 at least.
  explicit NgramSet(int64_t length);

  /// Adds the n-grams of a text of benchmark record `source`. Words as append_words makes them.
  void add(std::string_view words, uint32_t source);

  struct Match {
    uint32_t source = 0;
    std::string_view ngram;  // in the text
  };
  /// The first n-gram of the text that is here. May be called by several threads at once.
  std::optional<Match> find(std::string_view words) const;

  size_t size() const { return sources_.size(); }
  int64_t too_short() const { return too_short_; }

 private:
  int64_t length_, too_short_ = 0;
  std::vector<int64_t> lengths_;           // that there are n-grams of, ascending
  FlatTable<uint64_t, uint32_t> sources_;  // by n-gram
};

}  // namespace nibble
