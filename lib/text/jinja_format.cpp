// SPDX-License-Identifier: Apache-2.0
#include "text/jinja_format.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "text/jinja_utf8.h"
#include "text/jinja_value.h"

namespace nibble::jinja {
namespace {

constexpr int64_t kMostWide = 100'000;

// Sign, prefix and digits in the spec's width; zeros go between sign and digits.
std::string padded_number(bool negative, std::string prefix, std::string digits, Spec spec) {
  if (spec.comma) {
    const size_t point = std::min(digits.find_first_of(".e"), digits.size());
    for (size_t i = point; i > 3; i -= 3) digits.insert(i - 3, ",");
  }
  std::string sign = negative ? "-" : spec.sign == '+' ? "+" : spec.sign == ' ' ? " " : "";
  sign += prefix;
  if (spec.align == '=' || (spec.zero && spec.align == 0)) {
    if (spec.zero) spec.fill = "0";
    while (static_cast<int64_t>(sign.size() + digits.size()) < spec.width) sign += spec.fill;
    return sign + digits;
  }
  return padded(sign + digits, spec, spec.align ? spec.align : '>');
}

std::string integer_digits(uint64_t n, int base, bool upper) {
  std::string out;
  do {
    const auto digit = static_cast<size_t>(n % static_cast<uint64_t>(base));
    out += (upper ? "0123456789ABCDEF" : "0123456789abcdef")[digit];
    n /= static_cast<uint64_t>(base);
  } while (n > 0);
  std::reverse(out.begin(), out.end());
  return out;
}

}  // namespace

void check_width(int64_t n) {
  if (n > kMostWide) value_error("Too many decimal digits in format string");
}

int64_t read_number(std::string_view text, size_t& at) {
  int64_t n = 0;
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
    n = 10 * n + (text[at++] - '0');
    check_width(n);
  }
  return n;
}

std::string padded(std::string text, const Spec& spec, char align) {
  const auto size = static_cast<int64_t>(utf8::length(text));
  if (size >= spec.width) return text;
  const int64_t both = spec.width - size;
  const int64_t left = align == '<' ? 0 : align == '>' ? both : both / 2;
  std::string out;
  for (int64_t i = 0; i < left; ++i) out += spec.fill;
  out += text;
  for (int64_t i = left; i < both; ++i) out += spec.fill;
  return out;
}

std::string format_integer(int64_t v, const Spec& spec) {
  const int base = spec.type == 'x' || spec.type == 'X' ? 16
                   : spec.type == 'o'                   ? 8
                   : spec.type == 'b'                   ? 2
                                                        : 10;
  std::string prefix;
  if (spec.alternate && base != 10) prefix = {'0', spec.type};
  const uint64_t size = v < 0 ? 0 - static_cast<uint64_t>(v) : static_cast<uint64_t>(v);
  std::string digits = integer_digits(size, base, spec.type == 'X');
  if (static_cast<int64_t>(digits.size()) < spec.precision)
    digits.insert(0, static_cast<size_t>(spec.precision) - digits.size(), '0');
  return padded_number(v < 0, prefix, digits, spec);
}

std::string format_real(double v, Spec spec) {
  const bool percent = spec.type == '%';
  const bool plain = spec.type == 0;
  if (plain && spec.precision < 0) {
    std::string text;
    append_float(text, v);
    const bool negative = text.starts_with('-');
    return padded_number(negative, "", text.substr(negative ? 1 : 0), spec);
  }
  const char type = percent ? 'f' : plain || spec.type == 'n' ? 'g' : spec.type;
  const char format[] = {'%',
                         spec.alternate ? '#' : '.',
                         spec.alternate ? '.' : '*',
                         spec.alternate ? '*' : type,
                         spec.alternate ? type : '\0',
                         '\0'};
  const int precision = static_cast<int>(spec.precision < 0 ? 6 : spec.precision);
  std::string text(static_cast<size_t>(precision) + 400, '\0');
  const int size =
      std::snprintf(text.data(), text.size(), format, precision, std::abs(percent ? v * 100 : v));
  text.resize(static_cast<size_t>(size));
  if (plain && text.find_first_of(".en") == std::string::npos) text += ".0";
  if (percent) text += '%';
  return padded_number(std::signbit(v) && v == v, "", text, spec);
}

bool is_real_type(char type) {
  return type != 0 && std::string_view("eEfFgG%").find(type) != std::string_view::npos;
}

}  // namespace nibble::jinja
