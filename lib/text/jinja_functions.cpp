// SPDX-License-Identifier: Apache-2.0
// The functions that templates find without being given them.
#include <algorithm>
#include <array>
#include <ctime>

#include "text/jinja_machine.h"

namespace nibble::jinja {
namespace {

constexpr uint64_t kMaxRange = 100'000;  // as the sandbox has it

Value range(Machine& m, const Value&, const Arguments& a) {
  if (!a.named.empty()) type_error("range() takes no keyword arguments");
  if (a.positional.empty() || a.positional.size() > 3)
    type_error(cat("range expected ",
                   a.positional.empty() ? "at least 1 argument" : "at most 3 arguments", ", got ",
                   a.positional.size()));
  std::array<int64_t, 3> given = {0, 0, 1};
  for (size_t i = 0; i < a.positional.size(); ++i) {
    const Value& v = a.positional[i];
    if (!v.is_integer())
      type_error(cat("'", type_name(v), "' object cannot be interpreted as an integer"));
    given[i] = v.as_integer();
  }
  if (a.positional.size() == 1) std::swap(given[0], given[1]);
  const auto [start, stop, step] = given;
  if (step == 0) value_error("range() arg 3 must not be zero");
  const bool empty = step > 0 ? start >= stop : start <= stop;
  const auto distance = [](int64_t from, int64_t to) {
    return static_cast<uint64_t>(to) - static_cast<uint64_t>(from);
  };
  const uint64_t span = step > 0 ? distance(start, stop) : distance(stop, start);
  const uint64_t size = step > 0 ? static_cast<uint64_t>(step) : distance(step, 0);
  const uint64_t count = empty ? 0 : (span - 1) / size + 1;
  if (count > kMaxRange)
    fail("OverflowError",
         cat("Range too big. The sandbox blocks ranges larger than MAX_RANGE (", kMaxRange, ")."));
  std::vector<Value> items;
  for (int64_t i = 0; i < static_cast<int64_t>(count); ++i) items.emplace_back(start + i * step);
  const Value v = m.list(items, ListKind::kRange);
  return m.arena().make(List{v.list->items, v.list->size, ListKind::kRange, start, stop, step});
}

// dict(mapping_or_pairs, name=value, ...)
Dict* make_dict(Machine& m, std::string_view name, const Arguments& a) {
  if (a.positional.size() > 1)
    type_error(cat(name, " expected at most 1 argument, got ", a.positional.size()));
  Dict* out = m.dict(a.named.size());
  if (!a.positional.empty()) {
    const Value& from = a.positional[0];
    if (from.is(Kind::kDict)) {
      out->message = from.dict->message;
      for (const Entry& e : *from.dict) m.set(*out, e.key, e.value);
    } else {
      size_t i = 0;
      for (const Value& item : m.iterate(from)) {
        if (!item.is(Kind::kList) && !item.is_string())
          type_error(
              cat("cannot convert dictionary update sequence element #", i, " to a sequence"));
        const List& pair = m.iterate(item);
        if (pair.size != 2)
          value_error(cat("dictionary update sequence element #", i, " has length ", pair.size,
                          "; 2 is required"));
        m.set(*out, pair.items[0], pair.items[1]);
        ++i;
      }
    }
  }
  for (const NamedValue& n : a.named) m.set(*out, Value(n.name), n.value);
  return out;
}

Value dict(Machine& m, const Value&, const Arguments& a) {
  return make_dict(m, "dict", a);
}

Value space(Machine& m, const Value&, const Arguments& a) {
  Value v = make_dict(m, "namespace", a);
  v.kind = Kind::kNamespace;
  v.dict->message = -1;
  for (const Entry& e : *v.dict)
    if (e.key.is_string() && e.key.text().starts_with('_'))
      fail(
          "SecurityError",
          cat("Chat templates cannot store underscore-prefixed attributes on a namespace, but got ",
              repr(e.key), ". Please rename the attribute."));
  return v;
}

Value raise_exception(Machine&, const Value&, const Arguments& a) {
  const Bound b(a, "raise_exception", {"message"}, 1);
  // jinja2 keeps None as no message, which Python then writes as "None".
  fail("TemplateError", str(b[0]));
}

Value strftime_now(Machine& m, const Value&, const Arguments& a) {
  const Bound b(a, "strftime_now", {"format"}, 1);
  if (!b[0].is_string())
    type_error(cat("strftime() argument 1 must be str, not ", type_name(b[0])));
  constexpr size_t kLongest = 1000;
  if (b[0].size > kLongest) value_error("the format of a date is too long");
  std::string format;  // what Python writes itself, the rest as libc does
  const std::string_view text = b[0].text();
  for (size_t i = 0; i < text.size(); ++i) {
    format += text[i];
    if (text[i] != '%' || i + 1 == text.size()) continue;
    const char c = text[++i];
    if (c == 'f') {
      format.replace(format.size() - 1, 1, "000000");
    } else if (c == 'z' || c == 'Z') {
      format.pop_back();  // a time without a zone
    } else {
      format += c;
    }
  }
  std::tm local{};
  const std::time_t now = m.now();
  localtime_r(&now, &local);
  std::string out(kLongest * 64, '\0');
  format += '.';  // so that nothing written is no failure
  const size_t size = std::strftime(out.data(), out.size(), format.c_str(), &local);
  return m.text(std::string_view(out).substr(0, size > 0 ? size - 1 : 0));
}

Value cycler(Machine& m, const Value&, const Arguments& a) {
  if (a.positional.empty()) fail("RuntimeError", "at least one item has to be provided");
  return m.arena().make(Object{true, m.list(a.positional).list});
}

Value joiner(Machine& m, const Value&, const Arguments& a) {
  const Bound b(a, "joiner", {"sep"});
  const Value items[] = {b.value(0, Value(", "))};
  return m.arena().make(Object{false, m.list(items).list});
}

struct Global {
  std::string_view name;
  Run run;
};
constexpr Global kGlobals[] = {
    {"range", range},
    {"dict", dict},
    {"namespace", space},
    {"raise_exception", raise_exception},
    {"strftime_now", strftime_now},
    {"cycler", cycler},
    {"joiner", joiner},
};

}  // namespace

Run find_global(std::string_view name) {
  for (const Global& g : kGlobals)
    if (g.name == name) return g.run;
  return nullptr;
}

}  // namespace nibble::jinja
