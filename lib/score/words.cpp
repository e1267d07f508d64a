// SPDX-License-Identifier: Apache-2.0
#include "score/words.h"

namespace nibble {

TextLengths text_lengths(std::string_view text) {
  TextLengths lengths = count_text(text);
  if (lengths.other_space) {
    lengths.words = 0;
    for_each_word(text, [&](std::string_view) { ++lengths.words; });
  }
  return lengths;
}

}  // namespace nibble
