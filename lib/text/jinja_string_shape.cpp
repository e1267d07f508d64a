// SPDX-License-Identifier: Apache-2.0
// Methods of Python's str on case, width and kinds of characters; format.
#include <algorithm>

#include "text/jinja_machine.h"
#include "text/jinja_methods.h"
#include "text/jinja_utf8.h"
#include "text/unicode.h"

namespace nibble::jinja {
namespace {

using Predicate = bool (*)(char32_t);

Value upper(Machine& m, const Value& self, const Arguments& a) {
  const Bound b(a, "upper", {});
  m.step(self.size / 16);
  return kept(self, m.text(utf8::upper(self.text())).text());
}
Value lower(Machine& m, const Value& self, const Arguments& a) {
  const Bound b(a, "lower", {});
  m.step(self.size / 16);
  return kept(self, m.text(utf8::lower(self.text())).text());
}
Value capitalize(Machine& m, const Value& self, const Arguments& a) {
  const Bound b(a, "capitalize", {});
  if (self.size == 0) return self;
  const CodePoint first = read_utf8(self.text(), 0);
  const std::string rest = utf8::lower(self.text().substr(static_cast<size_t>(first.size)));
  return m.text(utf8::title(first.code) + rest);
}

Value swapcase(Machine& m, const Value& self, const Arguments& a) {
  const Bound b(a, "swapcase", {});
  std::string out;
  for (size_t at = 0; at < self.size;) {
    const std::string_view c = self.text().substr(at, utf8::size_at(self.text(), at));
    out += utf8::is_upper(read_utf8(c, 0).code) ? utf8::lower(c) : utf8::upper(c);
    at += c.size();
  }
  return m.text(out);
}

Value title(Machine& m, const Value& self, const Arguments& a) {
  const Bound b(a, "title", {});
  std::string out;
  bool inside = false;
  for (size_t at = 0; at < self.size;) {
    const std::string_view c = self.text().substr(at, utf8::size_at(self.text(), at));
    const char32_t code = read_utf8(c, 0).code;
    out += inside ? utf8::lower(c) : utf8::title(code);
    inside = utf8::is_lower(code) || utf8::is_upper(code);
    at += c.size();
  }
  return m.text(out);
}

template <char kAlign>
Value justified(Machine& m, const Value& self, const Arguments& a) {
  const Bound b(a, "center", {"width", "fillchar"}, 1);
  const std::string_view fill = b.text(1, " ");
  if (utf8::length(fill) != 1) type_error("The fill character must be exactly one character long");
  const int64_t width = b.integer(0, 0), size = static_cast<int64_t>(utf8::length(self.text()));
  if (width <= size) return self;
  if (width > static_cast<int64_t>(kMaxMemory)) fail("MemoryError", "the text is too wide");
  const int64_t both = width - size;
  // Python's centre leans left where both are odd.
  const int64_t left = kAlign == '<' ? 0 : kAlign == '>' ? both : both / 2 + (both & width & 1);
  std::string out;
  for (int64_t i = 0; i < left; ++i) out += fill;
  out += self.text();
  for (int64_t i = left; i < both; ++i) out += fill;
  return m.text(out);
}

Value zfill(Machine& m, const Value& self, const Arguments& a) {
  const Bound b(a, "zfill", {"width"}, 1);
  const int64_t missing = b.integer(0, 0) - static_cast<int64_t>(utf8::length(self.text()));
  if (missing <= 0) return self;
  if (missing > static_cast<int64_t>(kMaxMemory)) fail("MemoryError", "the text is too wide");
  std::string out(self.text());
  const size_t at = !out.empty() && (out[0] == '-' || out[0] == '+') ? 1 : 0;
  out.insert(at, static_cast<size_t>(missing), '0');
  return m.text(out);
}

Value expandtabs(Machine& m, const Value& self, const Arguments& a) {
  const int64_t size = Bound(a, "expandtabs", {"tabsize"}).integer(0, 8);
  if (size > 4096) value_error("tabsize is too large");
  std::string out;
  int64_t column = 0;
  for (const char c : self.text()) {
    if (c == '\t') {
      const int64_t spaces = size > 0 ? size - column % size : 0;
      out.append(static_cast<size_t>(spaces), ' ');
      column += spaces;
      m.step();
      continue;
    }
    out += c;
    if ((static_cast<unsigned char>(c) & 0xC0u) != 0x80) ++column;
    if (c == '\n' || c == '\r') column = 0;
  }
  return m.text(out);
}

template <Predicate kHolds>
Value all(Machine&, const Value& self, const Arguments& a) {
  const Bound b(a, "is", {});
  const std::vector<char32_t> text = codes_of(self.text());
  return !text.empty() && std::all_of(text.begin(), text.end(), kHolds);
}

bool is_alnum(char32_t c) {
  return utf8::is_alpha(c) || utf8::is_numeric(c);
}

template <bool kUpper>
Value has_case(Machine&, const Value& self, const Arguments&) {
  return kUpper ? is_upper_text(self.text()) : is_lower_text(self.text());
}

Value isascii(Machine&, const Value& self, const Arguments&) {
  const std::string_view text = self.text();
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

Value istitle(Machine&, const Value& self, const Arguments&) {
  bool cased = false, inside = false;
  for (const char32_t c : codes_of(self.text())) {
    if (utf8::is_upper(c) ? inside : utf8::is_lower(c) && !inside) return false;
    inside = utf8::is_upper(c) || utf8::is_lower(c);
    cased |= inside;
  }
  return cased;
}

Value format(Machine& m, const Value& self, const Arguments& a) {
  return m.text(brace_format(m, self.text(), a));
}
Value format_map(Machine& m, const Value& self, const Arguments& a) {
  const Bound b(a, "format_map", {"mapping"}, 1);
  if (!b[0].is(Kind::kDict)) type_error("format_map() argument must be a mapping");
  std::vector<NamedValue> named;
  for (const Entry& e : *b[0].dict)
    if (e.key.is_string()) named.push_back({e.key.text(), e.value});
  return m.text(brace_format(m, self.text(), {{}, named}));
}

constexpr Routine kMethods[] = {
    {"upper", upper},
    {"lower", lower},
    {"casefold", lower},
    {"capitalize", capitalize},
    {"title", title},
    {"swapcase", swapcase},
    {"center", justified<'^'>},
    {"ljust", justified<'<'>},
    {"rjust", justified<'>'>},
    {"zfill", zfill},
    {"expandtabs", expandtabs},
    {"isalpha", all<utf8::is_alpha>},
    {"isalnum", all<is_alnum>},
    {"isdecimal", all<utf8::is_decimal>},
    {"isdigit", all<utf8::is_digit>},
    {"isnumeric", all<utf8::is_numeric>},
    {"isspace", all<is_python_space>},
    {"isupper", has_case<true>},
    {"islower", has_case<false>},
    {"istitle", istitle},
    {"isascii", isascii},
    {"format", format},
    {"format_map", format_map},
};

}  // namespace

std::span<const Routine> string_shape_methods() {
  return kMethods;
}

bool is_upper_text(std::string_view text) {
  bool any = false;
  for (const char32_t c : codes_of(text)) {
    if (utf8::is_lower(c)) return false;
    any |= utf8::is_upper(c);
  }
  return any;
}

bool is_lower_text(std::string_view text) {
  bool any = false;
  for (const char32_t c : codes_of(text)) {
    if (utf8::is_upper(c)) return false;
    any |= utf8::is_lower(c);
  }
  return any;
}

}  // namespace nibble::jinja
