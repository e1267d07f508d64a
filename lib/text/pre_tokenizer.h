// SPDX-License-Identifier: Apache-2.0
// The "pre_tokenizer" of tokenizer.json: how text is cut into the pieces that merges never cross.
// ByteLevel, Digits, Metaspace, Split and sequences of them; others are refused by name.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/json.h"
#include "text/pattern.h"
#include "text/tokenizer.h"

namespace nibble {

/// Text and the pieces it is cut into, which cover some or all of it in order.
struct Pieces {
  std::string text;
  std::vector<Match> spans;

  void set(std::string_view whole) {
    text = whole;
    spans.assign(whole.empty() ? 0 : 1, Match{0, whole.size()});
  }
  std::string_view operator[](size_t i) const {
    return std::string_view(text).substr(spans[i].begin, spans[i].end - spans[i].begin);
  }
};

class PreTokenizer {
 public:
  /// `spec` is the JSON member, or null. Throws UnavailableError or DataError without a place.
  explicit PreTokenizer(const Json& spec);

  /// Cuts `pieces`, which hold valid UTF-8. After other text no space is put before the first.
  void apply(TextPlace place, Pieces& pieces) const;
  /// Whether pieces become bytes (ByteLevel is the last step).
  bool byte_level() const { return byte_level_; }

 private:
  enum class Behavior : uint8_t {
    kRemoved,
    kIsolated,
    kMergedWithPrevious,
    kMergedWithNext,
    kContiguous
  };
  enum class Prefix : uint8_t { kNever, kFirst, kAlways };
  enum class Kind : uint8_t { kSplit, kMetaspace, kPrefixSpace };
  struct Step {
    Kind kind = Kind::kSplit;
    std::optional<Pattern> pattern;  // kSplit
    std::string find;                // kSplit of a string; kMetaspace: the replacement
    Behavior behavior = Behavior::kIsolated;
    bool invert = false;
    Prefix prefix = Prefix::kNever;  // kMetaspace
  };

  void add(const Json& spec);
  void add_byte_level(const Json& spec);
  void add_metaspace(const Json& spec);
  void add_split(const Json& spec);
  static Behavior parse_behavior(const std::string& name);
  static void split(const Step& step, Pieces& pieces);
  static void metaspace(const Step& step, TextPlace place, Pieces& pieces);
  static void prefix_space(TextPlace place, Pieces& pieces);

  std::vector<Step> steps_;
  bool byte_level_ = false;
};

}  // namespace nibble
