// SPDX-License-Identifier: Apache-2.0
// The Porter stemmer (M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980) with
// the departures that NLTK's makes by default: a pool of irregular forms, -ies and -ied of words of
// four letters, y after a consonant alone, -alli and -bli before their kin, -fulli and -logi.
#pragma once

#include <string>
#include <string_view>

namespace nibble {

/// The stem of a word in lower case, valid UTF-8. A letter outside ASCII counts as one consonant.
std::string porter_stem(std::string_view word);

}  // namespace nibble
