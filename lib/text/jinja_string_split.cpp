// SPDX-License-Identifier: Apache-2.0
// Methods of Python's str that cut it into parts.
#include <algorithm>

#include "text/jinja_machine.h"
#include "text/jinja_methods.h"
#include "text/unicode.h"

namespace nibble::jinja {
namespace {

std::string_view separator(const Value& v) {
  if (!v.is_string()) type_error(cat("must be str or None, not ", type_name(v)));
  if (v.size == 0) value_error("empty separator");
  return v.text();
}

// The words of a text; with a limit, what comes after them (or before, from the right) as it is.
std::vector<std::string_view> words(std::string_view text, int64_t most, bool from_right) {
  std::vector<std::string_view> parts;
  size_t begin = 0;
  bool inside = false;
  for (size_t at = 0; at < text.size();) {
    const CodePoint p = read_utf8(text, at);
    const bool space = is_python_space(p.code);
    if (inside && space) parts.push_back(text.substr(begin, at - begin));
    if (!inside && !space) begin = at;
    inside = !space;
    at += static_cast<size_t>(p.size);
  }
  if (inside) parts.push_back(text.substr(begin));
  const size_t limit = most < 0 ? parts.size() : static_cast<size_t>(most);
  if (parts.size() <= limit) return parts;
  const auto offset = [&](std::string_view part) {
    return static_cast<size_t>(part.data() - text.data());
  };
  if (from_right) {
    const size_t rest = parts.size() - limit;
    const std::string_view last = parts[rest - 1];
    parts.erase(parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(rest - 1));
    parts[0] = text.substr(0, offset(last) + last.size());
  } else {
    parts.resize(limit + 1);
    parts[limit] = text.substr(offset(parts[limit]));
  }
  return parts;
}

template <bool kRight>
Value split(Machine& m, const Value& self, const Arguments& a) {
  const Bound b(a, kRight ? "rsplit" : "split", {"sep", "maxsplit"});
  const int64_t most = b.integer(1, -1);
  std::string_view text = self.text();
  m.step(text.size() / 16);
  std::vector<std::string_view> parts;
  const bool at_spaces = !b.has(0) || b[0].none();
  if (at_spaces) {
    parts = words(text, most, kRight);
  } else {
    const std::string_view by = separator(b[0]);
    while (most < 0 || static_cast<int64_t>(parts.size()) < most) {
      const size_t at = kRight ? text.rfind(by) : text.find(by);
      if (at == std::string_view::npos) break;
      parts.push_back(kRight ? text.substr(at + by.size()) : text.substr(0, at));
      text = kRight ? text.substr(0, at) : text.substr(at + by.size());
    }
    parts.push_back(text);
  }
  if (kRight && !at_spaces) std::reverse(parts.begin(), parts.end());
  std::vector<Value> items;
  for (const std::string_view part : parts) items.push_back(kept(self, part));
  return m.list(items);
}

Value splitlines(Machine& m, const Value& self, const Arguments& a) {
  const bool keep = Bound(a, "splitlines", {"keepends"}).flag(0);
  const std::string_view text = self.text();
  const auto breaks = [](char32_t c) {
    return (c >= 0xA && c <= 0xD) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
  };
  std::vector<Value> lines;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const CodePoint p = read_utf8(text, at);
    const size_t end = at;
    at += static_cast<size_t>(p.size);
    if (!breaks(p.code)) continue;
    if (p.code == '\r' && at < text.size() && text[at] == '\n') ++at;
    lines.push_back(kept(self, text.substr(begin, (keep ? at : end) - begin)));
    begin = at;
  }
  if (begin < text.size()) lines.push_back(kept(self, text.substr(begin)));
  return m.list(lines);
}

template <bool kRight>
Value partition(Machine& m, const Value& self, const Arguments& a) {
  const Bound b(a, "partition", {"sep"}, 1);
  const std::string_view text = self.text(), by = separator(b[0]);
  const size_t at = kRight ? text.rfind(by) : text.find(by);
  if (at == std::string_view::npos) {
    const Value none[] = {kRight ? Value("") : self, Value(""), kRight ? self : Value("")};
    return m.list(none, ListKind::kTuple);
  }
  const Value three[] = {kept(self, text.substr(0, at)), b[0],
                         kept(self, text.substr(at + by.size()))};
  return m.list(three, ListKind::kTuple);
}

constexpr Routine kMethods[] = {
    {"split", split<false>},         {"rsplit", split<true>},         {"splitlines", splitlines},
    {"partition", partition<false>}, {"rpartition", partition<true>},
};

}  // namespace

std::span<const Routine> string_split_methods() {
  return kMethods;
}

}  // namespace nibble::jinja
