// SPDX-License-Identifier: Apache-2.0
#include "data/shingles.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/hash64.h"
#include "base/quote.h"
#include "text/words.h"

namespace nibble {
namespace {

void add_words(std::string_view words, size_t length, std::vector<uint64_t>& shingles) {
  thread_local std::vector<uint64_t> hashes;
  hashes.clear();
  for_words(words, [](std::string_view word) { hashes.push_back(hash64(word)); });
  const size_t taken = std::min(length, hashes.size());
  for (size_t i = 0; i + taken <= hashes.size(); ++i) {
    uint64_t h = taken;
    for (size_t k = 0; k < taken; ++k) h = mix64(h, hashes[i + k]);
    shingles.push_back(h);
  }
}

void add_characters(std::string_view words, size_t length, std::vector<uint64_t>& shingles) {
  thread_local std::vector<size_t> starts;  // of characters, and the end
  starts.clear();
  for (size_t i = 0; i < words.size(); ++i)
    if ((static_cast<unsigned char>(words[i]) & 0xc0) != 0x80) starts.push_back(i);
  const size_t taken = std::min(length, starts.size());
  starts.push_back(words.size());
  for (size_t i = 0; i + taken < starts.size(); ++i)
    shingles.push_back(hash64(words.substr(starts[i], starts[i + taken] - starts[i])));
}

}  // namespace

ShingleRules parse_shingle_rules(const std::string& text) {
  ShingleRules rules;
  const size_t colon = text.find(':');
  const std::string_view unit = std::string_view(text).substr(0, colon);
  if (unit != "words" && unit != "chars")
    throw UsageError(cat("--shingle=", quote(text), ": expected words:N or chars:N"));
  rules.characters = unit == "chars";
  const char* end = text.data() + text.size();
  const auto [stop, error] = colon == text.npos
                                 ? std::from_chars_result{end, std::errc::invalid_argument}
                                 : std::from_chars(text.data() + colon + 1, end, rules.length);
  if (error != std::errc() || stop != end || rules.length < 1 || rules.length > 1000)
    throw UsageError(cat("--shingle=", quote(text), ": N is a number from 1 to 1000"));
  return rules;
}

void make_shingles(const ShingleRules& rules, std::span<const std::string_view> texts,
                   std::vector<uint64_t>& shingles) {
  thread_local std::string words;
  shingles.clear();
  for (const std::string_view text : texts) {
    words.clear();
    append_words(words, text);
    if (words.empty()) continue;
    (rules.characters ? add_characters : add_words)(words, static_cast<size_t>(rules.length),
                                                    shingles);
  }
  std::sort(shingles.begin(), shingles.end());
  shingles.erase(std::unique(shingles.begin(), shingles.end()), shingles.end());
}

double jaccard(std::span<const uint64_t> a, std::span<const uint64_t> b) {
  size_t both = 0;
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    both += a[i] == b[j];
    const bool left = a[i] <= b[j], right = b[j] <= a[i];
    i += left;
    j += right;
  }
  const size_t either = a.size() + b.size() - both;
  return either == 0 ? 0 : static_cast<double>(both) / static_cast<double>(either);
}

}  // namespace nibble
