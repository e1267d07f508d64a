// SPDX-License-Identifier: Apache-2.0
// Python's two ways of formatting: "%5.2f" % x, and "{:5.2f}".format(x).
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "text/jinja_machine.h"
#include "text/jinja_utf8.h"

namespace nibble::jinja {
namespace {

constexpr int64_t kMostWide = 100'000;

struct Spec {
  std::string fill = " ";
  char align = 0, sign = 0, type = 0;
  bool alternate = false, zero = false, comma = false;
  int64_t width = 0, precision = -1;
};

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

// A value by the spec of "{:...}".
std::string format_value(const Value& v, const Spec& spec) {
  if (v.is(Kind::kFloat) || (v.is_integer() && is_real_type(spec.type))) {
    if (spec.type != 0 && spec.type != 'n' && !is_real_type(spec.type))
      value_error(cat("Unknown format code '", spec.type, "' for object of type 'float'"));
    return format_real(v.as_real(), spec);
  }
  const bool integer = v.is(Kind::kInt) || (v.is(Kind::kBool) && spec.type != 0);
  if (integer && spec.type != 's') {
    if (spec.type != 0 && std::string_view("bdoxXn").find(spec.type) == std::string_view::npos)
      value_error(cat("Unknown format code '", spec.type, "' for object of type 'int'"));
    return format_integer(v.as_integer(), spec);
  }
  if (spec.type != 0 && spec.type != 's')
    value_error(
        cat("Unknown format code '", spec.type, "' for object of type '", type_name(v), "'"));
  std::string text = str(v);
  if (spec.precision >= 0) text = utf8::slice(text, 0, static_cast<size_t>(spec.precision));
  return padded(text, spec, spec.align ? spec.align : '<');
}

Spec read_spec(std::string_view text) {
  Spec spec;
  size_t at = 0;
  const auto is_align = [&](size_t i) {
    return i < text.size() && std::string_view("<>=^").find(text[i]) != std::string_view::npos;
  };
  const size_t first = text.empty() ? 0 : utf8::size_at(text, 0);
  if (!text.empty() && is_align(first)) {
    spec.fill = text.substr(0, first);
    spec.align = text[first];
    at = first + 1;
  } else if (is_align(0)) {
    spec.align = text[at++];
  }
  const auto take = [&](std::string_view any) {
    const bool found = at < text.size() && any.find(text[at]) != std::string_view::npos;
    return found ? text[at++] : '\0';
  };
  spec.sign = take("+- ");
  spec.alternate = take("#") != 0;
  spec.zero = take("0") != 0;
  spec.width = read_number(text, at);
  spec.comma = take(",") != 0;
  if (take(".")) spec.precision = read_number(text, at);
  spec.type = at < text.size() ? text[at++] : '\0';
  if (at != text.size()) value_error("Invalid format specifier");
  return spec;
}

// The values of "%...", one after another or by name.
class Given {
 public:
  explicit Given(const Value& v) : v_(v) {
    tuple_ = v.is(Kind::kList) && v.list->kind == ListKind::kTuple;
  }
  Value next() {
    if (tuple_) {
      if (at_ >= v_.list->size) type_error("not enough arguments for format string");
      return v_.list->items[at_++];
    }
    if (at_++ > 0) type_error("not enough arguments for format string");
    return v_;
  }
  Value named(std::string_view name) {
    if (!v_.is(Kind::kDict)) type_error("format requires a mapping");
    const Entry* e = find(*v_.dict, name);
    if (e == nullptr) fail("KeyError", repr(Value(name)));
    by_name_ = true;
    return e->value;
  }
  void check_all_used() const {
    const bool left = tuple_ ? at_ < v_.list->size
                             : at_ == 0 && !by_name_ && !v_.is(Kind::kDict) &&
                                   !(v_.is(Kind::kList) && v_.list->kind == ListKind::kList);
    if (left) type_error("not all arguments converted during string formatting");
  }

 private:
  const Value& v_;
  bool tuple_ = false, by_name_ = false;
  size_t at_ = 0;
};

std::string percent_value(const Value& v, Spec spec) {
  const char type = spec.type;
  if (type == 's' || type == 'r' || type == 'a') {
    std::string text = type == 's' ? str(v) : repr(v);
    if (spec.precision >= 0) text = utf8::slice(text, 0, static_cast<size_t>(spec.precision));
    return padded(text, spec, spec.align == '<' ? '<' : '>');
  }
  if (type == 'c') {
    if (v.is_string() && utf8::length(v.text()) == 1)
      return padded(std::string(v.text()), spec, spec.align == '<' ? '<' : '>');
    type_error("%c requires int or char");
  }
  if (spec.align == '<') spec.zero = false;
  if (is_real_type(type)) {
    if (!v.is_number()) type_error(cat("must be real number, not ", type_name(v)));
    return format_real(v.as_real(), spec);
  }
  if (std::string_view("diuxXo").find(type) == std::string_view::npos)
    value_error(cat("unsupported format character '", type, "'"));
  const bool decimal = type == 'd' || type == 'i' || type == 'u';
  if (!v.is_integer() && !(decimal && v.is(Kind::kFloat)))
    type_error(cat("%", type, " format: ", decimal ? "a real number" : "an integer",
                   " is required, not ", type_name(v)));
  if (decimal) spec.type = 'd';
  if (!v.is_integer() && !(std::abs(v.real) < 0x1p63))
    fail("OverflowError", "an integer is beyond 64 bits");
  return format_integer(v.is_integer() ? v.as_integer() : static_cast<int64_t>(v.real), spec);
}

}  // namespace

std::string percent_format(Machine& m, std::string_view format, const Value& v) {
  Given given(v);
  std::string out;
  for (size_t at = 0; at < format.size();) {
    if (format[at] != '%') {
      out += format[at++];
      continue;
    }
    m.step();
    ++at;
    Spec spec;
    Value named(Kind::kMissing);
    if (at < format.size() && format[at] == '(') {
      const size_t close = format.find(')', at);
      if (close == std::string_view::npos) value_error("incomplete format key");
      named = given.named(format.substr(at + 1, close - at - 1));
      at = close + 1;
    }
    for (; at < format.size(); ++at) {
      const char c = format[at];
      if (c == '-')
        spec.align = '<';
      else if (c == '+' || (c == ' ' && spec.sign == 0))
        spec.sign = c;
      else if (c == '0')
        spec.zero = true;
      else if (c == '#')
        spec.alternate = true;
      else
        break;
    }
    const auto number = [&]() -> int64_t {
      if (at >= format.size() || format[at] != '*') return read_number(format, at);
      ++at;
      const Value n = given.next();
      if (!n.is_integer()) type_error("* wants int");
      check_width(n.as_integer());
      return n.as_integer();
    };
    spec.width = number();
    if (at < format.size() && format[at] == '.') {
      ++at;
      spec.precision = number();
    }
    if (at >= format.size()) value_error("incomplete format");
    spec.type = format[at++];
    if (spec.type == '%')
      out += '%';
    else
      out += percent_value(named.missing() ? given.next() : named, spec);
    if (out.size() > kMaxOutput) fail("MemoryError", "the template takes too much memory");
  }
  given.check_all_used();
  return out;
}

namespace {

// The value of a field's name: "", "0", "name", then ".attribute" and "[item]".
Value field_value(Machine& m, std::string_view name, const Arguments& a, size_t& next) {
  const size_t end = std::min(name.find_first_of(".["), name.size());
  const std::string_view first = name.substr(0, end);
  const bool digits =
      std::all_of(first.begin(), first.end(), [](char c) { return c >= '0' && c <= '9'; });
  Value v(Kind::kMissing);
  if (digits) {
    size_t at = 0;
    const size_t index = first.empty() ? next++ : static_cast<size_t>(read_number(first, at));
    if (index >= a.positional.size()) fail("IndexError", "tuple index out of range");
    v = a.positional[index];
  } else {
    for (const NamedValue& n : a.named)
      if (n.name == first) v = n.value;
    if (v.missing()) fail("KeyError", repr(Value(first)));
  }
  for (name.remove_prefix(end); !name.empty();) {
    if (name[0] == '.') {
      const size_t stop = std::min(name.find_first_of(".[", 1), name.size());
      v = m.attribute(v, m.text(name.substr(1, stop - 1)).text());
      name.remove_prefix(stop);
      continue;
    }
    const size_t close = name.find(']');
    if (name[0] != '[' || close == std::string_view::npos)
      value_error("Missing ']' in format string");
    const std::string_view key = name.substr(1, close - 1);
    size_t at = 0;
    const bool number = !key.empty() && std::all_of(key.begin(), key.end(),
                                                    [](char c) { return c >= '0' && c <= '9'; });
    v = m.item(v, number ? Value(read_number(key, at)) : m.text(key));
    name.remove_prefix(close + 1);
  }
  return v;
}

}  // namespace

std::string brace_format(Machine& m, std::string_view format, const Arguments& a) {
  std::string out;
  size_t next = 0;
  for (size_t at = 0; at < format.size(); ++at) {
    const char c = format[at];
    if (c != '{' && c != '}') {
      out += c;
      continue;
    }
    if (at + 1 < format.size() && format[at + 1] == c) {
      out += c;
      ++at;
      continue;
    }
    if (c == '}') value_error("Single '}' encountered in format string");
    m.step();
    const size_t close = format.find('}', at);
    if (close == std::string_view::npos) value_error("expected '}' before end of string");
    std::string_view field = format.substr(at + 1, close - at - 1);
    if (field.find('{') != std::string_view::npos)
      value_error("fields within format specifiers are not supported");
    std::string_view spec;
    if (const size_t colon = field.find(':'); colon != std::string_view::npos) {
      spec = field.substr(colon + 1);
      field = field.substr(0, colon);
    }
    char conversion = 0;
    if (const size_t mark = field.find('!'); mark != std::string_view::npos) {
      if (mark + 2 != field.size()) value_error("expected ':' after conversion specifier");
      conversion = field[mark + 1];
      field = field.substr(0, mark);
    }
    Value v = field_value(m, field, a, next);
    if (conversion == 's') v = m.text(str(v));
    if (conversion == 'r' || conversion == 'a') v = m.text(repr(v));
    out += format_value(v, read_spec(spec));
    if (out.size() > kMaxOutput) fail("MemoryError", "the template takes too much memory");
    at = close;
  }
  return out;
}

}  // namespace nibble::jinja
