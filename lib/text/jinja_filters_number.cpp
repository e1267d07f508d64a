// SPDX-License-Identifier: Apache-2.0
#include <charconv>
#include <cmath>

#include "text/jinja_filters.h"
#include "text/unicode.h"

namespace nibble::jinja::filters {
namespace {

// Python's int(text, base) and float(text): digits with single underscores, and no more.
std::string digits_of(std::string_view text) {
  std::string out;
  text = python_strip(text);
  for (size_t i = 0; i < text.size(); ++i) {
    const bool between = i > 0 && i + 1 < text.size() && text[i - 1] != '_' && text[i + 1] != '_';
    if (text[i] == '_' && between) continue;
    out += text[i];
  }
  if (out.starts_with('+') && !out.starts_with("+-")) out.erase(0, 1);
  return out;
}

bool read_integer(std::string_view text, int base, int64_t& v) {
  std::string digits = digits_of(text);
  const size_t sign = digits.starts_with('-') ? 1 : 0;
  if (digits.size() > sign + 2 && digits[sign] == '0') {
    const char mark = static_cast<char>(digits[sign + 1] | 0x20);
    const int marked = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
    if (marked != 0 && marked == base) digits.erase(sign, 2);
  }
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), v, base);
  return error == std::errc() && end == digits.data() + digits.size();
}

bool read_real(std::string_view text, double& v) {
  const std::string digits = digits_of(text);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), v);
  if (end != digits.data() + digits.size() || digits.empty()) return false;
  if (error == std::errc::result_out_of_range) {  // too large or too small, by its exponent's sign
    v = std::strtod(digits.c_str(), nullptr);
    return true;
  }
  return error == std::errc();
}

}  // namespace

Value to_int(Machine&, const Value& v, const Arguments& a) {
  const Bound b(a, "int", {"default", "base"});
  int64_t whole = 0;
  double real = 0;
  if (v.undefined_value()) fail_undefined(v);
  if (v.is_integer()) return v.as_integer();
  if (v.is_string()) {
    const int64_t base = b.integer(1, 10);
    if (base >= 2 && base <= 36 && read_integer(v.text(), static_cast<int>(base), whole))
      return whole;
    if (!read_real(v.text(), real)) return b.value(0, Value(int64_t{0}));
  } else if (v.is(Kind::kFloat)) {
    real = v.real;
  } else {
    return b.value(0, Value(int64_t{0}));
  }
  if (!std::isfinite(real)) return b.value(0, Value(int64_t{0}));
  if (std::abs(real) >= 0x1p63) fail("OverflowError", "an integer is beyond 64 bits");
  return static_cast<int64_t>(real);
}

Value to_float(Machine&, const Value& v, const Arguments& a) {
  const Bound b(a, "float", {"default"});
  double real = 0;
  if (v.undefined_value()) fail_undefined(v);
  if (v.is_number()) return v.as_real();
  if (v.is_string() && read_real(v.text(), real)) return real;
  return b.value(0, Value(0.0));
}

Value absolute(Machine& m, const Value& v, const Arguments&) {
  if (v.is(Kind::kFloat)) return std::abs(v.real);
  if (!v.is_integer()) type_error(cat("bad operand type for abs(): '", type_name(v), "'"));
  return v.as_integer() < 0 ? m.binary(Operator::kSubtract, Value(int64_t{0}), v)
                            : Value(v.as_integer());
}

Value round(Machine&, const Value& v, const Arguments& a) {
  const Bound b(a, "round", {"precision", "method"});
  const std::string_view method = b.text(1, "common");
  const int64_t precision = b.integer(0, 0);
  if (method != "common" && method != "ceil" && method != "floor")
    fail("FilterArgumentError", "method must be common, ceil or floor");
  if (!v.is_number()) type_error(cat("type ", type_name(v), " doesn't define __round__ method"));
  if (v.is_integer() && method == "common" && precision >= 0) return v.as_integer();
  if (std::abs(precision) > 300) value_error("the precision is out of range");
  const double real = v.as_real();
  if (method != "common" || precision < 0) {
    const double scale = std::pow(10.0, static_cast<double>(precision));
    const double scaled = real * scale;
    const double whole = method == "ceil"    ? std::ceil(scaled)
                         : method == "floor" ? std::floor(scaled)
                                             : std::nearbyint(scaled);
    const double out = whole / scale;
    if (v.is_integer() && method == "common") return static_cast<int64_t>(out);
    return out;
  }
  if (!std::isfinite(real)) return real;
  // The decimal nearest to the exact value, ties to even: what printf writes.
  std::string text(700, '\0');
  std::snprintf(text.data(), text.size(), "%.*f", static_cast<int>(precision), real);
  return std::strtod(text.c_str(), nullptr);
}

}  // namespace nibble::jinja::filters
