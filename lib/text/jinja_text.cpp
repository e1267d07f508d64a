// SPDX-License-Identifier: Apache-2.0
// How Python writes values: str, repr and json.dumps.
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "text/jinja_syntax.h"
#include "text/jinja_value.h"
#include "text/unicode.h"

namespace nibble::jinja {
namespace {

constexpr int kDeepest = 500;  // values in one another that are written

void check_depth(int depth, std::string_view doing) {
  if (depth > kDeepest)
    fail("RecursionError", cat("maximum recursion depth exceeded while ", doing));
}

// Python's str.isprintable of one character: no control, format, surrogate, private or unassigned
// one, and no separator but the space.
bool is_printable(char32_t code) {
  if (code < 0x7F) return code >= 0x20;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code))) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
      return false;
    default:
      return true;
  }
}

void append_hex(std::string& out, char32_t code, int digits) {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
    out += "0123456789abcdef"[code >> shift & 15];
}

template <class Items>
void append_items(std::string& out, const Items& items, int depth) {
  bool first = true;
  for (const Value& item : items) {
    if (!first) out += ", ";
    first = false;
    append_repr(out, item, depth + 1);
  }
}

void append_dict(std::string& out, const Dict& dict, int depth) {
  out += '{';
  for (const Entry& e : dict) {
    if (&e != dict.begin()) out += ", ";
    append_repr(out, e.key, depth + 1);
    out += ": ";
    append_repr(out, e.value, depth + 1);
  }
  out += '}';
}

void append_list(std::string& out, const Value& v, int depth) {
  const List& list = *v.list;
  switch (list.kind) {
    case ListKind::kTuple:
      out += '(';
      append_items(out, list, depth);
      out += list.size == 1 ? ",)" : ")";
      return;
    case ListKind::kRange:
      out += cat("range(", list.start, ", ", list.stop);
      if (list.step != 1) out += cat(", ", list.step);
      out += ')';
      return;
    case ListKind::kList:
      break;
    default:
      out += type_name(v);
      out += '(';
  }
  out += '[';
  append_items(out, list, depth);
  out += list.kind == ListKind::kList ? "]" : "])";
}

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

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&#34;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

// The shortest digits that read back the same, laid out as Python does: an exponent below 1e-4 and
// from 1e16 on.
void append_float(std::string& out, double v) {
  if (std::isnan(v) || std::isinf(v)) {
    out += std::isnan(v) ? "nan" : v > 0 ? "inf" : "-inf";
    return;
  }
  std::array<char, 40> buffer;
  char* end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), v, std::chars_format::scientific)
          .ptr;
  std::string_view text(buffer.data(), static_cast<size_t>(end - buffer.data()));
  if (text[0] == '-') {
    out += '-';
    text.remove_prefix(1);
  }
  const size_t e = text.find('e');
  int exponent = 0;
  const char* digits_of_exponent = text.data() + e + (text[e + 1] == '+' ? 2 : 1);
  std::from_chars(digits_of_exponent, text.data() + text.size(), exponent);
  std::string digits(text.substr(0, e));
  std::erase(digits, '.');
  if (exponent < -4 || exponent >= 16) {
    out += digits[0];
    if (digits.size() > 1) out += cat(".", digits.substr(1));
    const int size = std::abs(exponent);
    out += cat(exponent < 0 ? "e-" : "e+", size < 10 ? "0" : "", size);
  } else if (exponent < 0) {
    out += cat("0.", std::string(static_cast<size_t>(-exponent - 1), '0'), digits);
  } else {
    const auto whole = static_cast<size_t>(exponent) + 1;
    if (digits.size() < whole) digits.append(whole - digits.size(), '0');
    out += cat(digits.substr(0, whole), ".", digits.size() > whole ? digits.substr(whole) : "0");
  }
}

void append_repr(std::string& out, std::string_view text) {
  const bool doubles =
      text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos;
  const char quote = doubles ? '"' : '\'';
  out += quote;
  for (size_t at = 0; at < text.size();) {
    const CodePoint p = read_utf8(text, at);
    const auto size = static_cast<size_t>(p.size);
    if (p.code == static_cast<char32_t>(quote) || p.code == '\\') {
      out += '\\';
      out += text[at];
    } else if (p.code == '\n' || p.code == '\r' || p.code == '\t') {
      out += p.code == '\n' ? "\\n" : p.code == '\r' ? "\\r" : "\\t";
    } else if (is_printable(p.code)) {
      out.append(text, at, size);
    } else {
      out += p.code > 0xFFFF ? "\\U" : p.code > 0xFF ? "\\u" : "\\x";
      append_hex(out, p.code, p.code > 0xFFFF ? 8 : p.code > 0xFF ? 4 : 2);
    }
    at += size;
  }
  out += quote;
}

void append_repr(std::string& out, const Value& v, int depth) {
  check_depth(depth, "getting the repr of an object");
  switch (v.kind) {
    case Kind::kString:
      if (v.markup) out += "Markup(";
      append_repr(out, v.text());
      if (v.markup) out += ')';
      return;
    case Kind::kUndefined:
      out += "Undefined";
      return;
    case Kind::kList:
      return append_list(out, v, depth);
    case Kind::kDict:
      return append_dict(out, *v.dict, depth);
    case Kind::kNamespace:
      out += "<Namespace ";
      append_dict(out, *v.dict, depth);
      out += '>';
      return;
    default:
      return append_str(out, v);
  }
}

void append_str(std::string& out, const Value& v) {
  switch (v.kind) {
    case Kind::kMissing:
    case Kind::kUndefined:
      return;
    case Kind::kNone:
      out += "None";
      return;
    case Kind::kBool:
      out += v.boolean ? "True" : "False";
      return;
    case Kind::kInt:
      out += cat(v.integer);
      return;
    case Kind::kFloat:
      return append_float(out, v.real);
    case Kind::kString:
      out += v.text();
      return;
    case Kind::kLoop:
      out += cat("<LoopContext ", v.loop->at + 1, "/", v.loop->items->size, ">");
      return;
    case Kind::kMacro:
      out += cat("<Macro '", v.macro->statement->text, "'>");
      return;
    case Kind::kIterator:
    case Kind::kFunction:
    case Kind::kObject:
      out += cat("<", type_name(v), ">");
      return;
    default:
      return append_repr(out, v);
  }
}

std::string str(const Value& v) {
  std::string out;
  append_str(out, v);
  return out;
}

std::string repr(const Value& v) {
  std::string out;
  append_repr(out, v);
  return out;
}

void append_json(std::string& out, const Value& v, const JsonStyle& style, int depth) {
  check_depth(depth, "encoding a JSON object");
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
