// SPDX-License-Identifier: Apache-2.0
// A chat template's Jinja source as a canonical program: one statement a line, whatever the
// spelling was (quotes, spacing, whitespace control, message.role or message['role'], literals
// joined by + or written as text). Two sources with equal programs render alike.
//
//   out "<|im_start|>"          literal output
//   out message["role"]         output of an expression
//   do for message in messages  a statement
#pragma once

#include <string>
#include <string_view>

namespace nibble {

/// Reads as transformers configures Jinja (trim_blocks, lstrip_blocks, no trailing newline). Throws
/// DataError where the source is no Jinja: an unclosed tag or string.
std::string jinja_program(std::string_view source);

}  // namespace nibble
