// SPDX-License-Identifier: Apache-2.0
// What is said on standard error, made fit to be read: names and values that stand in it may hold
// anything and be of any length.
#pragma once

#include <string>
#include <string_view>

namespace nibble {

/// One line that does nothing to a terminal: control characters are written as \n and \x1b. Of a
/// word of more than 300 bytes the first 150 and the last 100 are left, and of more than 2000 bytes
/// in all the first 1000 and the last 500, cut between characters, with "..." between.
std::string printable_line(std::string_view text);

}  // namespace nibble
