// SPDX-License-Identifier: Apache-2.0
// Filters on texts, and the table of all.
#include "text/jinja_filters.h"

#include <algorithm>

#include "text/jinja_methods.h"
#include "text/jinja_utf8.h"
#include "text/unicode.h"

namespace nibble::jinja {
namespace {

Value markup(Value v) {
  v.markup = true;
  return v;
}

// The method of that name, of the value as text.
Value text_method(Machine& m, const Value& v, std::string_view name, const Arguments& a) {
  bool unsafe = false;
  const Value text = soft_text(m, v);
  const Routine* method = find_method(text, name, unsafe);
  CHECK(method != nullptr);
  return method->run(m, text, a);
}

Value upper(Machine& m, const Value& v, const Arguments& a) {
  return text_method(m, v, "upper", a);
}
Value lower(Machine& m, const Value& v, const Arguments& a) {
  return text_method(m, v, "lower", a);
}
Value capitalize(Machine& m, const Value& v, const Arguments& a) {
  return text_method(m, v, "capitalize", a);
}
Value trim(Machine& m, const Value& v, const Arguments& a) {
  return text_method(m, v, "strip", a);
}

Value center(Machine& m, const Value& v, const Arguments& a) {
  const Value width[] = {Value(Bound(a, "center", {"width"}).integer(0, 80))};
  return text_method(m, v, "center", {width, {}});
}

// Every word begins with a capital: words are what stands between white space and -({[<.
Value title(Machine& m, const Value& v, const Arguments& a) {
  const Bound b(a, "title", {});
  const Value text = soft_text(m, v);
  std::string out, word;
  const auto flush = [&] {
    if (word.empty()) return;
    const size_t first = utf8::size_at(word, 0);
    out += utf8::upper(std::string_view(word).substr(0, first));
    out += utf8::lower(std::string_view(word).substr(first));
    word.clear();
  };
  for (size_t at = 0; at < text.size;) {
    const CodePoint p = read_utf8(text.text(), at);
    const std::string_view c = text.text().substr(at, static_cast<size_t>(p.size));
    if (is_python_space(p.code) || std::string_view("-({[<").find(c) != std::string_view::npos) {
      flush();
      out += c;
    } else {
      word += c;
    }
    at += c.size();
  }
  flush();
  return m.text(out);
}

Value replace(Machine& m, const Value& v, const Arguments& a) {
  const Bound b(a, "replace", {"old", "new", "count"}, 2);
  return replaced(m, soft_text(m, v), str(b[0]), str(b[1]), b.integer(2, -1));
}

Value string(Machine& m, const Value& v, const Arguments& a) {
  const Bound b(a, "string", {});
  return soft_text(m, v);
}

Value safe(Machine& m, const Value& v, const Arguments& a) {
  const Bound b(a, "safe", {});
  return markup(soft_text(m, v));
}

Value escape(Machine& m, const Value& v, const Arguments& a) {
  const Bound b(a, "escape", {});
  if (v.is_string() && v.markup) return v;
  return markup(m.text(escaped(str(v))));
}
Value forceescape(Machine& m, const Value& v, const Arguments& a) {
  const Bound b(a, "forceescape", {});
  return markup(m.text(escaped(str(v))));
}

Value indent(Machine& m, const Value& v, const Arguments& a) {
  const Bound b(a, "indent", {"width", "first", "blank"});
  if (v.undefined_value()) fail_undefined(v);
  if (!v.is_string())
    type_error(cat("unsupported operand type(s) for +=: '", type_name(v), "' and 'str'"));
  std::string by;
  if (b[0].is_string()) {
    by = b[0].text();
  } else {
    const int64_t width = b.integer(0, 4);
    if (width > 10'000) fail("MemoryError", "the indent is too wide");
    by.assign(static_cast<size_t>(std::max<int64_t>(0, width)), ' ');
  }
  const Value ended = m.text(str(v) + "\n");
  bool unsafe = false;
  const Value lines = find_method(ended, "splitlines", unsafe)->run(m, ended, {});
  std::string out = b.flag(1) ? by : "";
  for (size_t i = 0; i < lines.list->size; ++i) {
    const std::string_view line = lines.list->items[i].text();
    if (i > 0) {
      out += '\n';
      if (!line.empty() || b.flag(2)) out += by;
    }
    out += line;
    if (out.size() > kMaxMemory) fail("MemoryError", "the template takes too much memory");
  }
  return m.text(out);
}

Value truncate(Machine& m, const Value& v, const Arguments& a) {
  const Bound b(a, "truncate", {"length", "killwords", "end", "leeway"});
  if (v.undefined_value()) return v;
  if (!v.is_string()) type_error(cat("object of type '", type_name(v), "' has no len()"));
  const Value& text = v;
  const int64_t length = b.integer(0, 255), leeway = b.integer(3, 5);
  const std::string_view end = b.text(2, "...");
  const int64_t rest = length - static_cast<int64_t>(utf8::length(end));
  if (rest < 0 || leeway < 0)
    fail("AssertionError", cat("expected length >= ", utf8::length(end), ", got ", length));
  if (static_cast<int64_t>(utf8::length(text.text())) <= length + leeway) return text;
  std::string_view kept = utf8::slice(text.text(), 0, static_cast<size_t>(rest));
  if (!b.flag(1)) kept = kept.substr(0, kept.rfind(' '));
  return m.text(cat(kept, end));
}

Value wordcount(Machine& m, const Value& v, const Arguments&) {
  const Value text = soft_text(m, v);
  int64_t words = 0;
  bool inside = false;
  for (size_t at = 0; at < text.size;) {
    const CodePoint p = read_utf8(text.text(), at);
    const bool word = utf8::is_alpha(p.code) || utf8::is_numeric(p.code) || p.code == '_';
    words += word && !inside;
    inside = word;
    at += static_cast<size_t>(p.size);
  }
  return words;
}

Value format(Machine& m, const Value& v, const Arguments& a) {
  if (!a.positional.empty() && !a.named.empty())
    fail("FilterArgumentError", "can't handle positional and keyword arguments at the same time");
  Dict* named = m.dict(a.named.size());
  for (const NamedValue& n : a.named) m.set(*named, Value(n.name), n.value);
  const Value given = a.named.empty() ? m.list(a.positional, ListKind::kTuple) : Value(named);
  return m.text(percent_format(m, soft_text(m, v).text(), given));
}

Value tojson(Machine& m, const Value& v, const Arguments& a) {
  const Bound b(a, "tojson", {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style{.ensure_ascii = b.flag(0), .sort_keys = b.flag(3)};
  std::string indent;
  if (b.has(1) && !b[1].none()) {
    style.lines = true;
    style.item_separator = ",";
    if (b[1].is_string()) {
      indent = b[1].text();
    } else {
      const int64_t width = b.integer(1, 0);
      if (width > 1000) fail("MemoryError", "the indent is too wide");
      indent.assign(static_cast<size_t>(std::max<int64_t>(0, width)), ' ');
    }
    style.indent = indent;
  }
  if (b.has(2) && !b[2].none()) {
    const List& two = m.iterate(b[2]);
    if (two.size != 2)
      value_error(cat("not enough values to unpack (expected 2, got ", two.size, ")"));
    style.item_separator = two.items[0].text();
    style.key_separator = two.items[1].text();
  }
  std::string out;
  append_json(out, v, style);
  m.step(out.size() / 8);
  return m.text(out);
}

Value otherwise(Machine&, const Value& v, const Arguments& a) {
  const Bound b(a, "default", {"default_value", "boolean"});
  const bool missing = v.undefined_value() || (b.flag(1) && !truth(v));
  return missing ? b.value(0, Value("")) : v;
}

Value attr(Machine& m, const Value& v, const Arguments& a) {
  const Bound b(a, "attr", {"name"}, 1);
  const std::string_view name = b.text(0, "");
  if (v.is(Kind::kDict)) {  // attributes alone, never items
    bool unsafe = false;
    if (find_method(v, name, unsafe) == nullptr && !unsafe) return m.undefined(v, b[0]);
  }
  return m.attribute(v, name);
}

constexpr Routine kFilters[] = {
    {"abs", filters::absolute},
    {"attr", attr},
    {"batch", filters::batch},
    {"capitalize", capitalize},
    {"center", center},
    {"count", filters::length},
    {"d", otherwise},
    {"default", otherwise},
    {"dictsort", filters::dictsort},
    {"e", escape},
    {"escape", escape},
    {"first", filters::first},
    {"float", filters::to_float},
    {"forceescape", forceescape},
    {"format", format},
    {"groupby", filters::groupby},
    {"indent", indent},
    {"int", filters::to_int},
    {"items", filters::items},
    {"join", filters::join},
    {"last", filters::last},
    {"length", filters::length},
    {"list", filters::list},
    {"lower", lower},
    {"map", filters::map},
    {"max", filters::max},
    {"min", filters::min},
    {"reject", filters::reject},
    {"rejectattr", filters::rejectattr},
    {"replace", replace},
    {"reverse", filters::reverse},
    {"round", filters::round},
    {"safe", safe},
    {"select", filters::select},
    {"selectattr", filters::selectattr},
    {"slice", filters::slice},
    {"sort", filters::sort},
    {"string", string},
    {"sum", filters::sum},
    {"title", title},
    {"tojson", tojson},
    {"trim", trim},
    {"truncate", truncate},
    {"unique", filters::unique},
    {"upper", upper},
    {"wordcount", wordcount},
};

}  // namespace

Value soft_text(Machine& m, const Value& v) {
  return v.is_string() ? v : m.text(str(v));
}

const Routine* find_filter(std::string_view name) {
  for (const Routine& r : kFilters)
    if (r.name == name) return &r;
  return nullptr;
}

}  // namespace nibble::jinja
