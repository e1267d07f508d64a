// SPDX-License-Identifier: Apache-2.0
// Texts as Java holds them, in UTF-16: for scorers that repeat what a Java program does.
#pragma once

#include <string>
#include <string_view>

namespace nibble::java {

/// Replaces what is no UTF-8 by U+FFFD.
void append_utf16(std::u16string& out, std::string_view utf8);
/// Half a pair becomes "?", as Java's encoder has it.
void append_utf8(std::string& out, std::u16string_view utf16);

/// String.toLowerCase(Locale.ENGLISH).
std::u16string lower(std::u16string_view text);

/// String.hashCode.
int32_t hash(std::u16string_view text);

}  // namespace nibble::java
