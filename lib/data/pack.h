// SPDX-License-Identifier: Apache-2.0
// Packing: examples of any length into rows of one length. Best-fit decreasing over a window: the
// examples of a window, longest first, each go into the row with the least room that still holds
// them; rows with room stay open for the windows to come. Memory is bounded by the window and the
// open rows. The order of rows and of examples in a row follows the order of the input. A
// preference pair is one example of two sequences, which stay side by side.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "data/token_rows.h"
#include "io/nbp.h"

namespace nibble {

enum class PackMode : uint8_t {
  kPack,   // several examples a row
  kPad,    // one example a row, in the order of the input
  kGroup,  // one example a row, examples of like length side by side
};
std::string_view pack_mode_name(PackMode mode);

/// What becomes of an example longer than a row. Preferences are never split.
enum class LongExamples : uint8_t { kDrop, kTruncate, kSplit };

struct PackRules {
  int64_t length = 2048;
  PackMode mode = PackMode::kPack;
  LongExamples long_examples = LongExamples::kDrop;
  /// Tokens gathered before they are placed, and tokens that may wait in open rows.
  int64_t window_tokens = int64_t{1} << 22;
};

struct PackCounts {
  int64_t examples = 0;                           // given
  int64_t rows = 0;                               // made
  int64_t sequences = 0;                          // in them: examples, pieces, sides of pairs
  int64_t tokens = 0;                             // in them
  int64_t longest = 0;                            // tokens of the longest of them
  int64_t empty = 0;                              // skipped: no tokens
  int64_t untrained = 0;                          // skipped: no target that has a token before it
  int64_t dropped = 0, truncated = 0, split = 0;  // longer than a row
};

class Packer {
 public:
  /// `emit` is given every row; the reference is good during the call.
  Packer(const PackRules& rules, std::function<void(const PackedRow&)> emit);

  void add(TokenRow example);
  /// Places and emits what is left. Nothing may be added after.
  void finish();
  const PackCounts& counts() const { return counts_; }

 private:
  struct Example {
    TokenRow row;
    int64_t order = 0;
  };
  struct Bin {
    std::vector<Example> examples;  // the first is the longest
    int64_t tokens = 0;
  };

  void take(TokenRow piece);
  void place_window();
  void place(Example example);
  void emit_rows(std::vector<Bin> rows);
  void emit_row(const std::vector<Example>& examples);

  PackRules rules_;
  std::function<void(const PackedRow&)> emit_;
  PackCounts counts_;
  int64_t taken_ = 0;  // examples and pieces that went into a window
  std::vector<Example> window_;
  int64_t window_tokens_ = 0, open_tokens_ = 0;
  std::vector<Bin> bins_;                      // open rows, by number; emitted ones are empty
  std::vector<size_t> free_bins_;              // numbers to use again
  std::set<std::pair<int64_t, size_t>> room_;  // (tokens of room, number) of the open rows
  std::vector<Bin> full_;
  PackedRow out_;
};

}  // namespace nibble
