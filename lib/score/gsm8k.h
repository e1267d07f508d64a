// SPDX-License-Identifier: Apache-2.0
// The answer in the text of a solution, as lm-eval's gsm8k task finds it.
#pragma once

#include <string>
#include <string_view>

namespace nibble {

/// What stands behind the first "#### ", of "#### (\-?[0-9\.\,]+)"; "[invalid]" where that is not.
std::string gsm8k_strict_answer(std::string_view text);
/// The last match of "(-?[$0-9.,]{2,})|(-?[0-9]+)"; "[invalid]" where there is none.
std::string gsm8k_flexible_answer(std::string_view text);
/// An answer, or a reference with its solution, as answers are compared: from behind the last
/// "#### ", without commas, dollars and a period at the end, lowercased.
std::string gsm8k_comparable(std::string_view text);

}  // namespace nibble
