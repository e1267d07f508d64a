// SPDX-License-Identifier: Apache-2.0
#include "text/jinja_expression.h"

#include "base/error.h"

namespace nibble::jinja {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_word(char c) {
  return c == '_' || is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         static_cast<unsigned char>(c) >= 0x80;
}

Token read_string(std::string_view source, size_t& at) {
  const char quote = source[at];
  Token result{true, {}};
  for (++at; at < source.size(); ++at) {
    char c = source[at];
    if (c == quote) {
      ++at;
      return result;
    }
    if (c != '\\' || at + 1 >= source.size()) {
      result.text += c;
      continue;
    }
    c = source[++at];
    switch (c) {
      case 'n':
        result.text += '\n';
        break;
      case 't':
        result.text += '\t';
        break;
      case 'r':
        result.text += '\r';
        break;
      case '\\':
      case '\'':
      case '"':
        result.text += c;
        break;
      case '\n':
        break;
      default:
        result.text += {'\\', c};  // \xNN and its kin stay as they are spelled
    }
  }
  throw DataError("a Jinja string is not closed");
}

// a.b is a["b"], unless it is called: a.b() stays a method.
Tokens members(const Tokens& in) {
  Tokens out;
  for (size_t i = 0; i < in.size(); ++i) {
    const bool name = i + 1 < in.size() && !in[i + 1].literal && is_word(in[i + 1].text[0]);
    const bool called = i + 2 < in.size() && in[i + 2].is("(");
    const bool after_value = i > 0 && (in[i - 1].literal || is_word(in[i - 1].text.back()) ||
                                       in[i - 1].is("]") || in[i - 1].is(")"));
    if (in[i].is(".") && name && !called && after_value && !is_digit(in[i + 1].text[0])) {
      out.push_back({false, "["});
      out.push_back({true, in[i + 1].text});
      out.push_back({false, "]"});
      ++i;
    } else {
      out.push_back(in[i]);
    }
  }
  return out;
}

// "a" + "b" is "ab" where nothing on either side binds tighter than +.
Tokens join_literals(const Tokens& in) {
  const auto loose_before = [](const Tokens& t) {
    return t.size() < 2 || t[t.size() - 2].is("+") || t[t.size() - 2].is("(") ||
           t[t.size() - 2].is("=");
  };
  Tokens out;
  for (size_t i = 0; i < in.size(); ++i) {
    const bool loose_after = i + 2 >= in.size() || in[i + 2].is("+") || in[i + 2].is(")");
    if (in[i].is("+") && i + 1 < in.size() && in[i + 1].literal && loose_after && !out.empty() &&
        out.back().literal && loose_before(out)) {
      out.back().text += in[++i].text;
    } else {
      out.push_back(in[i]);
    }
  }
  return out;
}

}  // namespace

Token read_token(std::string_view source, size_t& at) {
  const char c = source[at];
  if (c == '"' || c == '\'') return read_string(source, at);
  size_t end = at + 1;
  if (is_word(c)) {
    while (end < source.size() && is_word(source[end])) ++end;
  } else {
    const std::string_view two = source.substr(at, 2);
    for (const std::string_view pair : {"==", "!=", "<=", ">=", "//", "**"})
      if (two == pair) end = at + 2;
  }
  Token result{false, std::string(source.substr(at, end - at))};
  at = end;
  return result;
}

Tokens normalized(const Tokens& tokens) {
  return join_literals(members(tokens));
}

std::string spelled(const Tokens& tokens) {
  std::string out;
  bool after_word = false;
  for (const Token& t : tokens) {
    const bool word = !t.literal && is_word(t.text[0]);
    // Spaces only where two words would run together or a word meets a literal.
    if (!out.empty() && (after_word && (word || t.literal))) out += ' ';
    if (!out.empty() && !after_word && word && out.back() == '"') out += ' ';
    out += t.literal ? quoted(t.text) : t.text;
    after_word = word;
  }
  return out;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '\n')
      out += "\\n";
    else if (c == '"' || c == '\\')
      out += {'\\', c};
    else
      out += c;
  }
  return out + '"';
}

}  // namespace nibble::jinja
