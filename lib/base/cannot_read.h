// SPDX-License-Identifier: Apache-2.0
// What is said of an input that cannot be opened, the same wherever it was to be read.
#pragma once

#include <string_view>

namespace nibble {

/// Throws NoInputError: "place: cannot read: No such file or directory; check the path".
[[noreturn]] void throw_cannot_read(std::string_view place, int error);

}  // namespace nibble
