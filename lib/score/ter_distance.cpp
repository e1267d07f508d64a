// SPDX-License-Identifier: Apache-2.0
#include "score/ter_distance.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>
#include <vector>

#include "base/error.h"

namespace nibble {
namespace {

constexpr int64_t kLongestShift = 10, kFarthestShift = 50, kMostCandidates = 1000;
constexpr int64_t kBeam = 25;
constexpr int32_t kFar = 1 << 29;  // outside the beam

using Words = std::vector<int32_t>;

enum class Edit : uint8_t { kKeep, kSubstitute, kInsert, kDelete, kNone };

// Edit distances of hypotheses of one length to one reference. Rows are prefixes of the hypothesis.
class BeamDistance {
 public:
  BeamDistance(std::span<const int32_t> reference, size_t hypothesis)
      : reference_(reference), rows_(hypothesis + 1), columns_(reference.size() + 1) {
    const auto m = static_cast<double>(reference.size()), n = static_cast<double>(hypothesis);
    ratio_ = hypothesis > 0 ? m / n : 1.0;
    beam_ = kBeam < ratio_ / 2.0 ? static_cast<int64_t>(std::ceil(ratio_ / 2.0 + kBeam)) : kBeam;
    costs_.resize(rows_ * columns_);
    edits_.resize(rows_ * columns_);
    tried_.resize(rows_ * columns_);
    for (size_t j = 0; j < columns_; ++j) {
      costs_[j] = static_cast<int32_t>(j);
      edits_[j] = Edit::kInsert;
    }
  }

  /// Takes a hypothesis as the one that others are variants of.
  void set(const Words& hypothesis) {
    for (size_t i = 1; i < rows_; ++i)
      row<true>(hypothesis[i - 1], i, costs_.data() + (i - 1) * columns_,
                costs_.data() + i * columns_);
  }
  int64_t cost() const { return costs_.back(); }

  /// The distance of a variant that differs in words [begin, end) alone.
  int64_t cost_of(const Words& variant, size_t begin, size_t end) {
    const int32_t* before = costs_.data() + begin * columns_;
    for (size_t i = begin + 1; i < rows_; ++i) {
      int32_t* now = tried_.data() + i * columns_;
      row<false>(variant[i - 1], i, before, now);
      if (i >= end && std::equal(now, now + columns_, costs_.data() + i * columns_)) return cost();
      before = now;
    }
    return before[columns_ - 1];
  }

  /// The edits of the hypothesis that was set, from its start.
  std::vector<Edit> trace() const {
    std::vector<Edit> edits;
    for (size_t i = rows_ - 1, j = columns_ - 1; i > 0 || j > 0;) {
      const Edit edit = edits_[i * columns_ + j];
      CHECK(edit != Edit::kNone);
      edits.push_back(edit);
      i -= edit != Edit::kInsert;
      j -= edit != Edit::kDelete;
    }
    std::ranges::reverse(edits);
    return edits;
  }

 private:
  template <bool kTrace>
  void row(int32_t word, size_t i, const int32_t* before, int32_t* now) {
    const auto diagonal = static_cast<int64_t>(std::floor(static_cast<double>(i) * ratio_));
    const auto end = static_cast<int64_t>(columns_);
    const int64_t first = std::max<int64_t>(0, diagonal - beam_);
    const int64_t last = i + 1 == rows_ ? end : std::min(end, diagonal + beam_);
    std::fill(now, now + columns_, kFar);
    Edit* edits = edits_.data() + i * columns_;
    if constexpr (kTrace) std::fill(edits, edits + columns_, Edit::kNone);
    for (int64_t j = first; j < last; ++j) {
      if (j == 0) {
        now[0] = before[0] + 1;
        if constexpr (kTrace) edits[0] = Edit::kDelete;
        continue;
      }
      const bool same = word == reference_[static_cast<size_t>(j - 1)];
      int32_t best = kFar;
      Edit edit = Edit::kNone;
      const auto consider = [&](int32_t cost, Edit e) {
        if (cost < best) best = cost, edit = e;
      };
      consider(before[j - 1] + !same, same ? Edit::kKeep : Edit::kSubstitute);
      consider(before[j] + 1, Edit::kDelete);
      consider(now[j - 1] + 1, Edit::kInsert);
      now[j] = best;
      if constexpr (kTrace) edits[j] = edit;
    }
  }

  std::span<const int32_t> reference_;
  size_t rows_, columns_;
  double ratio_ = 1.0;
  int64_t beam_ = kBeam;
  std::vector<int32_t> costs_, tried_;
  std::vector<Edit> edits_;
};

// Where reference words stand in the hypothesis, and how many words are wrong up to a place.
struct Alignment {
  std::vector<int64_t> place;  // of a reference word: the word before or at it
  std::vector<int64_t> wrong_own{0}, wrong_theirs{0};  // sums

  explicit Alignment(const std::vector<Edit>& trace) {
    int64_t at = -1;
    for (const Edit edit : trace) {
      const int64_t wrong = edit != Edit::kKeep;
      if (edit != Edit::kInsert) {
        ++at;
        wrong_own.push_back(wrong_own.back() + wrong);
      }
      if (edit != Edit::kDelete) {
        place.push_back(at);
        wrong_theirs.push_back(wrong_theirs.back() + wrong);
      }
    }
  }
};

// The words with those at [start, start + length) taken out and put before what stood at `target`
// (of the words left over, where it is within the run).
void shift(const Words& words, size_t start, size_t length, size_t target, Words& out) {
  out = words;
  const auto at = out.begin();
  const auto s = static_cast<std::ptrdiff_t>(start), n = static_cast<std::ptrdiff_t>(length);
  const auto t = static_cast<std::ptrdiff_t>(target);
  if (target < start)
    std::rotate(at + t, at + s, at + s + n);
  else if (target > start + length)
    std::rotate(at + s, at + s + n, at + t);
  else
    std::rotate(at + s, at + s + n, at + std::min(t + n, std::ssize(words)));
}

class Search {
 public:
  Search(std::span<const int32_t> hypothesis, std::span<const int32_t> reference)
      : words_(hypothesis.begin(), hypothesis.end()),
        reference_(reference),
        distance_(reference, hypothesis.size()) {}

  int64_t edits() {
    int64_t shifts = 0;
    for (;; ++shifts) {
      distance_.set(words_);
      const bool found = best_shift();
      if (candidates_ >= kMostCandidates || !found) break;
      words_ = best_words_;
    }
    return shifts + distance_.cost();
  }

 private:
  // Finds the shift that saves most; the longest, leftmost and least far of those that save as
  // much.
  bool best_shift() {
    using Rank = std::tuple<int64_t, int64_t, int64_t, int64_t>;
    std::optional<Rank> best;
    const Alignment align(distance_.trace());
    for_each_common_run([&](size_t own, size_t theirs, size_t length) {
      const auto start = static_cast<int64_t>(own), size = static_cast<int64_t>(length);
      if (align.wrong_own[own + length] == align.wrong_own[own]) return true;
      if (align.wrong_theirs[theirs + length] == align.wrong_theirs[theirs]) return true;
      const int64_t here = align.place[theirs];
      if (here >= start && here < start + size) return true;
      int64_t before = -1;
      for (int64_t offset = -1; offset < size; ++offset) {
        const int64_t at = static_cast<int64_t>(theirs) + offset;
        if (at >= std::ssize(align.place)) break;
        const int64_t target = at < 0 ? 0 : align.place[static_cast<size_t>(at)] + 1;
        if (target == before) continue;
        before = target;
        shift(words_, own, length, static_cast<size_t>(target), tried_);
        const auto begin = static_cast<size_t>(std::min(start, target));
        const auto end =
            static_cast<size_t>(std::min(std::max(start, target) + size, std::ssize(words_)));
        const Rank rank(distance_.cost() - distance_.cost_of(tried_, begin, end), size, -start,
                        -target);
        ++candidates_;
        if (!best || rank > *best) {
          best = rank;
          best_words_ = tried_;
        }
      }
      return candidates_ < kMostCandidates;
    });
    return best && std::get<0>(*best) > 0;
  }

  // Calls use(own, theirs, length) for every run of words that both sides have, the shorter ones of
  // a place first, until it says no.
  template <class Use>
  void for_each_common_run(Use use) const {
    const auto n = std::ssize(words_), m = std::ssize(reference_);
    for (int64_t own = 0; own < n; ++own) {
      for (int64_t theirs = std::max<int64_t>(0, own - kFarthestShift);
           theirs < std::min(m, own + kFarthestShift + 1); ++theirs) {
        for (int64_t length = 1; length <= kLongestShift; ++length) {
          const int64_t last = length - 1;
          if (own + last >= n || theirs + last >= m) break;
          if (words_[static_cast<size_t>(own + last)] !=
              reference_[static_cast<size_t>(theirs + last)])
            break;
          if (!use(static_cast<size_t>(own), static_cast<size_t>(theirs),
                   static_cast<size_t>(length)))
            return;
        }
      }
    }
  }

  Words words_, tried_, best_words_;
  std::span<const int32_t> reference_;
  BeamDistance distance_;
  int64_t candidates_ = 0;
};

}  // namespace

int64_t ter_edits(std::span<const int32_t> hypothesis, std::span<const int32_t> reference) {
  if (reference.empty()) return std::ssize(hypothesis);
  return Search(hypothesis, reference).edits();
}

}  // namespace nibble
