// SPDX-License-Identifier: Apache-2.0
// Python's json.dumps.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "text/jinja_value.h"
#include "text/unicode.h"

namespace nibble::jinja {
namespace {

void append_json_text(std::string& out, std::string_view text, bool ensure_ascii) {
  out += '"';
  for (size_t at = 0; at < text.size();) {
    const auto c = static_cast<unsigned char>(text[at]);
    if (c >= 0x80 && ensure_ascii) {
      const CodePoint p = read_utf8(text, at);
      at += static_cast<size_t>(p.size);
      if (p.code > 0xFFFF) {
        out += "\\u";
        append_hex(out, 0xD800 + ((p.code - 0x10000) >> 10), 4);
      }
      out += "\\u";
      append_hex(out, p.code > 0xFFFF ? 0xDC00 + (p.code & 0x3FF) : p.code, 4);
      continue;
    }
    ++at;
    constexpr std::string_view kPlain = "\"\\\n\r\t\f\b", kEscapes = "\"\\nrtfb";
    if (const size_t i = kPlain.find(static_cast<char>(c)); i != std::string_view::npos) {
      out += '\\';
      out += kEscapes[i];
    } else if (c < 0x20 || (c == 0x7F && ensure_ascii)) {
      out += "\\u";
      append_hex(out, c, 4);
    } else {
      out += static_cast<char>(c);
    }
  }
  out += '"';
}

void append_json_number(std::string& out, const Value& v) {
  if (!v.is(Kind::kFloat))
    append_str(out, v);
  else if (std::isnan(v.real))
    out += "NaN";
  else if (std::isinf(v.real))
    out += v.real > 0 ? "Infinity" : "-Infinity";
  else
    append_float(out, v.real);
}

void append_json_key(std::string& out, const Value& key, bool ensure_ascii) {
  if (key.is_string()) return append_json_text(out, key.text(), ensure_ascii);
  if (!key.is_number() && !key.none())
    type_error(cat("keys must be str, int, float, bool or None, not ", type_name(key)));
  out += '"';
  append_json(out, key, {});
  out += '"';
}

void new_line(std::string& out, const JsonStyle& style, int depth) {
  if (!style.lines) return;
  out += '\n';
  for (int i = 0; i < depth; ++i) out += style.indent;
}

void append_json_dict(std::string& out, const Dict& dict, const JsonStyle& style, int depth) {
  std::vector<const Entry*> entries;
  for (const Entry& e : dict) entries.push_back(&e);
  if (style.sort_keys)
    std::stable_sort(entries.begin(), entries.end(), [](const Entry* a, const Entry* b) {
      return compare(a->key, b->key, "<") < 0;
    });
  out += '{';
  for (size_t i = 0; i < entries.size(); ++i) {
    if (i > 0) out += style.item_separator;
    new_line(out, style, depth + 1);
    append_json_key(out, entries[i]->key, style.ensure_ascii);
    out += style.key_separator;
    append_json(out, entries[i]->value, style, depth + 1);
  }
  if (!entries.empty()) new_line(out, style, depth);
  out += '}';
}

void append_json_list(std::string& out, const List& list, const JsonStyle& style, int depth) {
  out += '[';
  for (const Value& item : list) {
    if (&item != list.begin()) out += style.item_separator;
    new_line(out, style, depth + 1);
    append_json(out, item, style, depth + 1);
  }
  if (list.size > 0) new_line(out, style, depth);
  out += ']';
}

}  // namespace

void append_json(std::string& out, const Value& v, const JsonStyle& style, int depth) {
  check_nesting(depth, "encoding a JSON object");
  switch (v.kind) {
    case Kind::kNone:
      out += "null";
      return;
    case Kind::kBool:
      out += v.boolean ? "true" : "false";
      return;
    case Kind::kInt:
    case Kind::kFloat:
      return append_json_number(out, v);
    case Kind::kString:
      return append_json_text(out, v.text(), style.ensure_ascii);
    case Kind::kDict:
      return append_json_dict(out, *v.dict, style, depth);
    case Kind::kList:
      if (v.list->kind <= ListKind::kTuple) return append_json_list(out, *v.list, style, depth);
      [[fallthrough]];
    default:
      type_error(cat("Object of type ", type_name(v), " is not JSON serializable"));
  }
}

}  // namespace nibble::jinja
