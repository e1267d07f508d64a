// SPDX-License-Identifier: Apache-2.0
// Names that come from files, made fit for a message: one line, bounded, printable.
#pragma once

#include <string>
#include <string_view>

namespace nibble {

/// The text in double quotes; control characters and bytes that are no UTF-8 become '?', and what
/// is longer than `limit` bytes is cut at a character and ends in "...".
std::string quote(std::string_view text, size_t limit = 80);

}  // namespace nibble
