// SPDX-License-Identifier: Apache-2.0
// Texts that come from files, made fit to be drawn: one line, valid UTF-8, without control and
// direction characters, of a known width.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace nibble {

/// The text with every control, direction-changing or broken character as U+FFFD, cut to `limit`
/// columns with "…" at its end where it is longer.
std::string clean(std::string_view text, size_t limit = 60);

/// Columns of a terminal that a clean text takes: 2 for wide characters, 0 for combining ones.
size_t width(std::string_view text);

/// The text with spaces behind it (`left`) or before it, so that it is at least so wide.
std::string padded(std::string_view text, size_t columns, bool left = true);

/// The text for XML and HTML, attributes included.
std::string escaped(std::string_view text);

}  // namespace nibble
