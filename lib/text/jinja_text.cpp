// SPDX-License-Identifier: Apache-2.0
// How Python writes values: str and repr.
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

}  // namespace

void append_hex(std::string& out, char32_t code, int digits) {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
    out += "0123456789abcdef"[code >> shift & 15];
}

void check_nesting(int depth, std::string_view doing) {
  if (depth > kMaxNesting)
    fail("RecursionError", cat("maximum recursion depth exceeded while ", doing));
}

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
  check_nesting(depth, "getting the repr of an object");
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

}  // namespace nibble::jinja
