// SPDX-License-Identifier: Apache-2.0
#include "data/novelty.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>

#include "base/error.h"
#include "base/hash64.h"
#include "base/threads.h"
#include "text/words.h"

namespace nibble {

size_t WordNumbers::Hash::operator()(std::string_view word) const {
  return hash64(word);
}

void WordNumbers::number(std::string_view words, std::vector<uint32_t>& numbers) {
  numbers.clear();
  for_words(words, [&](std::string_view word) {
    auto found = numbers_.find(word);
    if (found == numbers_.end()) {
      CHECK(numbers_.size() < UINT32_MAX);
      found = numbers_.emplace(word, static_cast<uint32_t>(numbers_.size())).first;
    }
    numbers.push_back(found->second);
  });
}

SubsequencePattern::SubsequencePattern(std::span<const uint32_t> words)
    : length_(words.size()), blocks_((words.size() + 63) / 64), masks_(blocks_) {
  for (size_t i = 0; i < words.size(); ++i) {
    const auto [row, is_new] = rows_.emplace(words[i], rows_.size() + 1);
    if (is_new) masks_.resize(masks_.size() + blocks_);
    masks_[row->second * blocks_ + i / 64] |= uint64_t{1} << (i % 64);
  }
}

int64_t SubsequencePattern::common(std::span<const uint32_t> other,
                                   std::vector<uint64_t>& state) const {
  // A bit that is 0 is a word of the pattern by which the subsequence has grown.
  state.assign(blocks_, ~uint64_t{0});
  for (const uint32_t word : other) {
    const auto row = rows_.find(word);
    if (row == rows_.end()) continue;
    const uint64_t* mask = masks_.data() + row->second * blocks_;
    bool carry = false;
    for (size_t b = 0; b < blocks_; ++b) {
      const uint64_t v = state[b], matched = v & mask[b];
      uint64_t sum = 0;
      const bool first = __builtin_add_overflow(v, matched, &sum);
      const bool second = __builtin_add_overflow(sum, uint64_t{carry}, &sum);
      carry = first || second;
      state[b] = sum | (v & ~mask[b]);
    }
  }
  int64_t common = 0;
  for (size_t b = 0; b < blocks_; ++b) {
    const size_t bits = std::min<size_t>(64, length_ - 64 * b);
    const uint64_t inside = bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
    common += std::popcount(~state[b] & inside);
  }
  return common;
}

std::span<const uint32_t> Novelty::text(size_t number) const {
  const uint64_t begin = number == 0 ? 0 : ends_[number - 1];
  return std::span(words_).subspan(begin, ends_[number] - begin);
}

// F >= t needs t (m + n) / 2 common words, and so at least t m / (2 - t) of this text's m: more are
// not in a text that lacks all but fewer of them. Whoever has that many has one of any m - need
// + 1.
std::vector<uint32_t> Novelty::candidates(std::span<const uint32_t> words) const {
  std::vector<uint32_t> sorted(words.begin(), words.end());
  std::sort(sorted.begin(), sorted.end());
  struct Word {
    size_t texts, count;
    uint32_t number;
  };
  std::vector<Word> distinct;
  for (size_t i = 0; i < sorted.size();) {
    size_t end = i;
    while (end < sorted.size() && sorted[end] == sorted[i]) ++end;
    const size_t texts = sorted[i] < texts_with_.size() ? texts_with_[sorted[i]].size() : 0;
    distinct.push_back({texts, end - i, sorted[i]});
    i = end;
  }
  std::sort(distinct.begin(), distinct.end(), [](const Word& a, const Word& b) {
    return a.texts != b.texts ? a.texts < b.texts : a.number < b.number;
  });
  const auto m = static_cast<double>(words.size());
  // A hair less than the bound, for its rounding.
  const auto need = static_cast<size_t>(std::ceil(threshold_ * m / (2 - threshold_) - 1e-9 * m));
  size_t seen = 0;
  std::vector<uint32_t> found;
  for (const Word& word : distinct) {
    if (seen + need > words.size()) break;
    seen += word.count;
    if (word.texts > 0)
      found.insert(found.end(), texts_with_[word.number].begin(), texts_with_[word.number].end());
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

std::optional<Novelty::Match> Novelty::find(std::span<const uint32_t> words) const {
  if (words.empty()) return std::nullopt;
  const std::vector<uint32_t> found = candidates(words);
  const SubsequencePattern pattern(words);
  const auto f_measure = [&](size_t number, std::vector<uint64_t>& state) {
    const std::span<const uint32_t> other = text(number);
    const auto total = static_cast<double>(words.size() + other.size());
    const auto most = static_cast<double>(std::min(words.size(), other.size()));
    if (2 * most / total < threshold_) return 0.0;
    return 2 * static_cast<double>(pattern.common(other, state)) / total;
  };
  // Blocks, so that a match early on ends the search.
  constexpr int64_t kBlock = 1 << 14;
  for (int64_t at = 0; at < std::ssize(found); at += kBlock) {
    const int64_t count = std::min(kBlock, std::ssize(found) - at);
    std::atomic<int64_t> first = count;
    parallel_for(count, 256, [&](int64_t begin, int64_t end) {
      thread_local std::vector<uint64_t> state;
      for (int64_t i = begin; i < end && i < first; ++i) {
        if (f_measure(found[static_cast<size_t>(at + i)], state) < threshold_) continue;
        int64_t known = first;
        while (i < known && !first.compare_exchange_weak(known, i)) {
        }
        break;
      }
    });
    if (first == count) continue;
    const uint32_t number = found[static_cast<size_t>(at + first)];
    std::vector<uint64_t> state;
    return Match{number, f_measure(number, state)};
  }
  return std::nullopt;
}

void Novelty::add(std::span<const uint32_t> words) {
  CHECK(ends_.size() < UINT32_MAX);
  const auto number = static_cast<uint32_t>(ends_.size());
  words_.insert(words_.end(), words.begin(), words.end());
  ends_.push_back(words_.size());
  for (const uint32_t word : words) {
    if (word >= texts_with_.size()) texts_with_.resize(word + size_t{1});
    std::vector<uint32_t>& texts = texts_with_[word];
    if (texts.empty() || texts.back() != number) texts.push_back(number);
  }
}

}  // namespace nibble
