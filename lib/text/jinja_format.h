// SPDX-License-Identifier: Apache-2.0
// How a value is laid out in a given width, for Python's two ways of formatting.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace nibble::jinja {

struct Spec {
  std::string fill = " ";
  char align = 0, sign = 0, type = 0;
  bool alternate = false, zero = false, comma = false;
  int64_t width = 0, precision = -1;
};

/// Throws ValueError where no text should be that wide.
void check_width(int64_t n);
/// The digits at `at`, passed over; 0 where there are none.
int64_t read_number(std::string_view text, size_t& at);
std::string padded(std::string text, const Spec& spec, char align);
std::string format_integer(int64_t v, const Spec& spec);
std::string format_real(double v, Spec spec);
/// Whether a real is written so: one of e, E, f, F, g, G and %.
bool is_real_type(char type);

}  // namespace nibble::jinja
