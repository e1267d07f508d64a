// SPDX-License-Identifier: Apache-2.0
// Methods of values, as tables; and what filters do as methods do.
#pragma once

#include <span>
#include <string_view>

#include "text/jinja_machine.h"

namespace nibble::jinja {

std::span<const Routine> string_methods();        // those that strip, find, join and replace
std::span<const Routine> string_split_methods();  // those that cut into parts
std::span<const Routine> string_shape_methods();  // the others

std::vector<char32_t> codes_of(std::string_view text);
/// A part of a string, markup where that is.
Value kept(const Value& self, std::string_view part);

/// The text with `from` replaced, `most` times at most (negative: everywhere).
Value replaced(Machine& m, const Value& self, std::string_view from, std::string_view to,
               int64_t most);
bool is_upper_text(std::string_view text);
bool is_lower_text(std::string_view text);

}  // namespace nibble::jinja
