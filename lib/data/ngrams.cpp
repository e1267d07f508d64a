// SPDX-License-Identifier: Apache-2.0
#include "data/ngrams.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/hash64.h"
#include "text/words.h"

namespace nibble {
namespace {

constexpr uint64_t kBase = 0x9E3779B97F4A7C15u;

struct Words {
  std::vector<std::string_view> words;
  std::vector<uint64_t> hashes;

  void assign(std::string_view text) {
    words.clear();
    hashes.clear();
    for_words(text, [&](std::string_view word) {
      words.push_back(word);
      hashes.push_back(hash64(word));
    });
  }
};

// Calls use(i, hash) for the n-gram that begins at each word i, until it returns true: a polynomial
// in kBase, taken on from one n-gram to the next.
template <class Use>
bool for_ngrams(const std::vector<uint64_t>& words, size_t length, Use use) {
  if (words.size() < length) return false;
  uint64_t power = 1, h = 0;
  for (size_t i = 0; i < length; ++i) {
    h = h * kBase + words[i];
    power *= kBase;
  }
  for (size_t i = 0;; ++i) {
    if (use(i, mix64(h, length))) return true;
    if (i + length == words.size()) return false;
    h = h * kBase + words[i + length] - power * words[i];
  }
}

}  // namespace

NgramSet::NgramSet(int64_t length) : length_(length) {
  CHECK(length >= 1);
}

void NgramSet::add(std::string_view text, uint32_t source) {
  thread_local Words words;
  words.assign(text);
  const int64_t count = std::ssize(words.words);
  const int64_t length = std::min(length_, count);
  if (length < std::min(length_, kShortest)) {
    too_short_ += count > 0;
    return;
  }
  for_ngrams(words.hashes, static_cast<size_t>(length), [&](size_t, uint64_t hash) {
    sources_.insert(hash, source);
    return false;
  });
  const auto at = std::lower_bound(lengths_.begin(), lengths_.end(), length);
  if (at == lengths_.end() || *at != length) lengths_.insert(at, length);
}

std::optional<NgramSet::Match> NgramSet::find(std::string_view text) const {
  thread_local Words words;
  words.assign(text);
  std::optional<Match> match;
  for (const int64_t length : lengths_) {
    for_ngrams(words.hashes, static_cast<size_t>(length), [&](size_t i, uint64_t hash) {
      const uint32_t* source = sources_.find(hash);
      if (!source) return false;
      const std::string_view last = words.words[i + static_cast<size_t>(length) - 1];
      const char* begin = words.words[i].data();
      match = {*source, {begin, static_cast<size_t>(last.data() + last.size() - begin)}};
      return true;
    });
    if (match) break;
  }
  return match;
}

}  // namespace nibble
