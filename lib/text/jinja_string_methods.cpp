// SPDX-License-Identifier: Apache-2.0
// Methods of Python's str that strip, find, join and replace.
#include <algorithm>

#include "text/jinja_machine.h"
#include "text/jinja_methods.h"
#include "text/jinja_utf8.h"
#include "text/unicode.h"

namespace nibble::jinja {
namespace {

// strip, lstrip and rstrip: of white space, or of any of the given characters.
std::string_view stripped(std::string_view text, const Value& set, bool left, bool right) {
  std::vector<char32_t> any;
  if (!set.missing() && !set.none()) {
    if (!set.is_string()) type_error("strip arg must be None or str");
    any = codes_of(set.text());
  }
  const bool spaces = set.missing() || set.none();
  const auto drops = [&](char32_t c) {
    return spaces ? is_python_space(c) : std::find(any.begin(), any.end(), c) != any.end();
  };
  while (left && !text.empty()) {
    const CodePoint p = read_utf8(text, 0);
    if (!drops(p.code)) break;
    text.remove_prefix(static_cast<size_t>(p.size));
  }
  while (right && !text.empty()) {
    size_t at = text.size() - 1;
    while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0u) == 0x80) --at;
    if (!drops(read_utf8(text, at).code)) break;
    text = text.substr(0, at);
  }
  return text;
}

template <bool kLeft, bool kRight>
Value strip(Machine& m, const Value& self, const Arguments& a) {
  m.step(self.size / 64);
  const Bound b(a, "strip", {"chars"});
  return kept(self, stripped(self.text(), b[0], kLeft, kRight));
}

// A part of the text between two character positions, as find, count and startswith take them.
struct Part {
  std::string_view text;
  size_t begin = 0;
  bool empty_range = false;  // start beyond the end: nothing is found, not even ""
};
Part part_of(const Value& self, const Value& from, const Value& to) {
  Part part{self.text()};
  if ((from.missing() || from.none()) && (to.missing() || to.none())) return part;
  const auto size = static_cast<int64_t>(utf8::length(self.text()));
  const auto bound = [&](const Value& v, int64_t otherwise) {
    if (v.missing() || v.none()) return otherwise;
    if (!v.is_integer())
      type_error("slice indices must be integers or None or have an __index__ method");
    const int64_t i = v.as_integer();
    return i < 0 ? std::max<int64_t>(0, i + size) : i;
  };
  const int64_t begin = bound(from, 0), end = std::min(bound(to, size), size);
  part.empty_range = begin > end;
  part.begin = static_cast<size_t>(std::min(begin, size));
  part.text =
      utf8::slice(self.text(), part.begin, static_cast<size_t>(std::max<int64_t>(0, end - begin)));
  return part;
}

template <bool kRight>
int64_t found(Machine& m, const Value& self, const Arguments& a) {
  const Bound b(a, "find", {"sub", "start", "end"}, 1);
  if (!b[0].is_string()) type_error(cat("must be str, not ", type_name(b[0])));
  m.step(self.size / 16);
  const Part part = part_of(self, b[1], b[2]);
  const size_t at = kRight ? part.text.rfind(b[0].text()) : part.text.find(b[0].text());
  if (part.empty_range || at == std::string_view::npos) return -1;
  return static_cast<int64_t>(part.begin + utf8::length(part.text.substr(0, at)));
}

template <bool kRight>
Value index(Machine& m, const Value& self, const Arguments& a) {
  const int64_t at = found<kRight>(m, self, a);
  if (at < 0) value_error("substring not found");
  return at;
}

Value count(Machine& m, const Value& self, const Arguments& a) {
  const Bound b(a, "count", {"sub", "start", "end"}, 1);
  const std::string_view sub = b.text(0, "");
  m.step(self.size / 16);
  const Part part = part_of(self, b[1], b[2]);
  if (part.empty_range) return int64_t{0};
  if (sub.empty()) return static_cast<int64_t>(utf8::length(part.text)) + 1;
  int64_t n = 0;
  for (size_t at = 0; (at = part.text.find(sub, at)) != std::string_view::npos; at += sub.size())
    ++n;
  return n;
}

template <bool kEnd>
Value starts(Machine&, const Value& self, const Arguments& a) {
  const std::string_view name = kEnd ? "endswith" : "startswith";
  const Bound b(a, name, {"prefix", "start", "end"}, 1);
  const Part part = part_of(self, b[1], b[2]);
  const auto matches = [&](const Value& v) {
    if (!v.is_string())
      type_error(cat(name, " first arg must be str or a tuple of str, not ", type_name(v)));
    return !part.empty_range &&
           (kEnd ? part.text.ends_with(v.text()) : part.text.starts_with(v.text()));
  };
  if (b[0].is(Kind::kList) && b[0].list->kind == ListKind::kTuple)
    return std::any_of(b[0].list->begin(), b[0].list->end(), matches);
  return matches(b[0]);
}

template <bool kSuffix>
Value remove(Machine&, const Value& self, const Arguments& a) {
  const Bound b(a, kSuffix ? "removesuffix" : "removeprefix", {"affix"}, 1);
  std::string_view text = self.text();
  const std::string_view affix = b.text(0, "");
  if (kSuffix ? text.ends_with(affix) : text.starts_with(affix))
    text = kSuffix ? text.substr(0, text.size() - affix.size()) : text.substr(affix.size());
  return kept(self, text);
}

Value replace(Machine& m, const Value& self, const Arguments& a) {
  const Bound b(a, "replace", {"old", "new", "count"}, 2);
  for (size_t i = 0; i < 2; ++i)
    if (!b[i].is_string())
      type_error(cat("replace() argument ", i + 1, " must be str, not ", type_name(b[i])));
  return replaced(m, self, b[0].text(), b[1].text(), b.integer(2, -1));
}

Value join(Machine& m, const Value& self, const Arguments& a) {
  const Bound b(a, "join", {"iterable"}, 1);
  std::string out;
  size_t i = 0;
  for (const Value& item : m.iterate(b[0])) {
    m.step(1 + item.size / 64);
    if (!item.is_string())
      type_error(cat("sequence item ", i, ": expected str instance, ", type_name(item), " found"));
    if (i++ > 0) out += self.text();
    out += item.text();
    if (out.size() > kMaxMemory) fail("MemoryError", "the template takes too much memory");
  }
  return m.text(out);
}

constexpr Routine kMethods[] = {
    {"strip", strip<true, true>},
    {"lstrip", strip<true, false>},
    {"rstrip", strip<false, true>},
    {"startswith", starts<false>},
    {"endswith", starts<true>},
    {"replace", replace},
    {"join", join},
    {"find",
     [](Machine& m, const Value& v, const Arguments& a) -> Value { return found<false>(m, v, a); }},
    {"rfind",
     [](Machine& m, const Value& v, const Arguments& a) -> Value { return found<true>(m, v, a); }},
    {"index", index<false>},
    {"rindex", index<true>},
    {"count", count},
    {"removeprefix", remove<false>},
    {"removesuffix", remove<true>},
};

}  // namespace

std::vector<char32_t> codes_of(std::string_view text) {
  std::vector<char32_t> out;
  for (size_t at = 0; at < text.size();) {
    const CodePoint p = read_utf8(text, at);
    out.push_back(p.code);
    at += static_cast<size_t>(p.size);
  }
  return out;
}

Value kept(const Value& self, std::string_view part) {
  Value v(part);
  v.markup = self.markup;
  return v;
}

std::span<const Routine> string_methods() {
  return kMethods;
}

Value replaced(Machine& m, const Value& self, std::string_view from, std::string_view to,
               int64_t most) {
  const std::string_view text = self.text();
  m.step(text.size() / 16);
  std::string out;
  size_t at = 0;
  int64_t done = 0;
  while (most < 0 || done < most) {
    // An empty text stands before every character and at the end.
    const size_t next = from.empty() ? (done == 0          ? 0
                                        : at < text.size() ? at + utf8::size_at(text, at)
                                                           : std::string_view::npos)
                                     : text.find(from, at);
    if (next == std::string_view::npos) break;
    out += text.substr(at, next - at);
    out += to;
    if (out.size() > kMaxMemory) fail("MemoryError", "the template takes too much memory");
    at = next + from.size();
    ++done;
    m.step();
  }
  if (done == 0) return self;
  out += text.substr(std::min(at, text.size()));
  return kept(self, m.text(out).text());
}

}  // namespace nibble::jinja
