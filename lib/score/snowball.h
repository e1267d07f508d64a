// SPDX-License-Identifier: Apache-2.0
// The Snowball project's English stemmer (Porter2), as METEOR 1.5 has it.
#pragma once

#include <string>
#include <string_view>

namespace nibble {

/// The stem of a word in lower case.
std::u16string snowball_stem(std::u16string_view word);

}  // namespace nibble
