// SPDX-License-Identifier: Apache-2.0
// A figure as text, for a terminal: lines in braille dots (2 by 4 in a character) or quarter
// blocks, bars in eighths of a block, matrices on coloured ground. Colours stand out on dark ground
// and on light; without them series are told apart by their marks.
#pragma once

#include <string>

#include "plot/figure.h"

namespace nibble {

enum class Glyphs : uint8_t { kBraille, kBlocks, kAscii };
enum class Colours : uint8_t { kNone, k256, kTrue };

struct TextOptions {
  int columns = 80;
  int rows = 0;  // to fit into; 0: as many as it takes
  Glyphs glyphs = Glyphs::kBraille;
  Colours colours = Colours::kNone;
  bool marks = true;  // without colours, several series are drawn in marks of their own, not dots
};

/// What standard output shows: its size and colours where it is a terminal (NO_COLOR, TERM and
/// COLORTERM are obeyed), 80 columns without colours where it is not; ASCII where the locale's
/// characters are not UTF-8.
TextOptions standard_output_options();

/// The figure, each line ended by a newline.
std::string draw_text(const Figure& figure, const TextOptions& options);

}  // namespace nibble
