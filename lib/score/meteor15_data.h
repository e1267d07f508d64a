// SPDX-License-Identifier: Apache-2.0
// What METEOR 1.5 knows of English, from the files that come with it (all are optional): function
// words, synonyms, paraphrases, and the abbreviations that keep their periods when text is split.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "score/string_map.h"

namespace nibble {

/// Reads function/english.words: a word a line.
StringSet read_function_words(const std::string& path);

/// Reads nonbreaking/english.prefixes: a prefix a line, "#NUMERIC_ONLY#" behind those that keep
/// their period before numbers only, "#" before comments.
class PeriodKeepers {
 public:
  enum class When : uint8_t { kNever, kAlways, kBeforeNumbers };
  PeriodKeepers() = default;
  explicit PeriodKeepers(const std::string& path);
  When when(std::string_view prefix) const;

 private:
  StringMap<When> prefixes_;
};

/// Reads synonym/english.synsets (a word, then a line of the numbers of its sets) and
/// synonym/english.exceptions (a word, then a line of its irregular forms).
class Synonyms {
 public:
  explicit Synonyms(const std::string& folder);
  Synonyms(const Synonyms&) = delete;
  Synonyms& operator=(const Synonyms&) = delete;
  /// The numbers of a word's sets and of its base forms' sets, in order.
  std::vector<int32_t> sets_of(std::string_view word) const;

 private:
  void add_sets(std::string_view word, std::vector<int32_t>& sets) const;
  std::string base_form(std::string_view word) const;

  std::string path_, text_;
  StringTable words_;                    // to their lines
  std::vector<std::string_view> lines_;  // with the numbers of sets
  StringMap<std::vector<std::string>> bases_;
};

/// The pairs of a paraphrase table of which all words are known: they alone can match. The table is
/// three lines a pair: probability, phrase, paraphrase.
class Paraphrases {
 public:
  static constexpr int32_t kNone = -1;
  Paraphrases(const std::string& path, const StringTable& words);

  /// The phrase one word longer than `phrase` (kNone: that has none) by `word`, or kNone.
  int32_t longer(int32_t phrase, int32_t word) const {
    const auto at = phrases_.find(key_of(phrase, word));
    return at == phrases_.end() ? kNone : at->second;
  }
  /// The paraphrases of a phrase, in the order of the table; each the numbers of its words.
  const std::vector<std::vector<int32_t>>& of(int32_t phrase) const {
    return paraphrases_[static_cast<size_t>(phrase)];
  }

 private:
  void read(const std::string& path, const StringTable& known, auto&& next_line);
  static uint64_t key_of(int32_t phrase, int32_t word) {
    return static_cast<uint64_t>(static_cast<uint32_t>(phrase)) << 32 | static_cast<uint32_t>(word);
  }
  struct Hash {
    size_t operator()(uint64_t key) const { return mix64(key, key); }
  };
  std::unordered_map<uint64_t, int32_t, Hash> phrases_;
  std::vector<std::vector<std::vector<int32_t>>> paraphrases_;  // by phrase
};

}  // namespace nibble
