// SPDX-License-Identifier: Apache-2.0
// Samples: training data as people look at it, whatever file it is from: runs of text that are
// trained on or not, special tokens apart, and what is likely to be a mistake.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/example.h"
#include "data/token_rows.h"
#include "text/tokenizer.h"

namespace nibble {

/// Text that is alike in mask and kind.
struct Piece {
  bool trained = false;
  bool special = false;  // a special token, or who speaks where no template wrote it
  std::string text;

  bool operator==(const Piece&) const = default;
};

/// The classic mistakes.
enum class Mistake : uint8_t {
  kNothingTrained,
  kEverythingTrained,
  kTwoBos,
  kNoEnd,       // no end of turn is learnt
  kTruncated,   // the last answer ends without what ends others, or with its row
  kSystemLost,  // the template does not write the system message
};
inline constexpr size_t kMistakes = 6;
/// "nothing is trained on", ...; and what to do about it.
std::string_view mistake_title(Mistake mistake);
std::string_view mistake_remedy(Mistake mistake);
/// "nothing_trained", for --json.
std::string_view mistake_name(Mistake mistake);

/// One sequence: an example, or one side of a preference pair.
struct Sample {
  std::string_view side = {};  // "chosen" or "rejected" of a pair
  std::optional<bool> desirable = std::nullopt;
  std::vector<Piece> pieces = {};     // none where there is no tokenizer for the ids
  std::vector<int32_t> ids = {};      // none where there is no tokenizer for the text
  std::vector<uint8_t> trained = {};  // as long as ids
  std::vector<Mistake> mistakes = {};
  int64_t turns = 0;  // of a conversation

  /// Tokens, or characters where there are none.
  int64_t length() const;
  int64_t trained_length() const;
};

/// A sequence of ids. `limit` is the length of its row, 0 where that is not known; without a
/// tokenizer there are no pieces, and mistakes about special tokens are not seen.
Sample sample_of_tokens(const Tokenizer* tokenizer, std::span<const int32_t> ids,
                        std::span<const uint8_t> trained, int64_t limit);
/// Text without tokens. Marks such as <|im_end|> and </s> pass for special tokens.
Sample sample_of_segments(std::span<const Segment> segments);

}  // namespace nibble
