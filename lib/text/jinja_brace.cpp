// SPDX-License-Identifier: Apache-2.0
// Python's "{:5.2f}".format(x).
#include <algorithm>

#include "text/jinja_format.h"
#include "text/jinja_machine.h"
#include "text/jinja_utf8.h"

namespace nibble::jinja {
namespace {

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
