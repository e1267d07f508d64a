// SPDX-License-Identifier: Apache-2.0
// Words, for comparing texts: runs of letters, marks and digits in lower case; all else parts them.
// On ASCII these are rouge-score's tokens. Beyond it, text is folded first (NFKC and Unicode's case
// folding, so that full width, ligatures and ways of composing make no difference), and a character
// of a script that is written without spaces (Han, kana, Thai, Lao, Khmer, Burmese) is a word.
#pragma once

#include <string>
#include <string_view>

namespace nibble {

/// Appends the words, one space between two of them and after what is there already. What is no
/// UTF-8 parts words.
void append_words(std::string& out, std::string_view text);

/// Calls use(word) for each of the words that append_words wrote.
template <class Use>
void for_words(std::string_view words, Use use) {
  while (!words.empty()) {
    const size_t end = words.find(' ');
    use(words.substr(0, end));
    if (end == words.npos) break;
    words.remove_prefix(end + 1);
  }
}

}  // namespace nibble
