// SPDX-License-Identifier: Apache-2.0
#include "text/jinja_program.h"

#include <algorithm>
#include <vector>

#include "base/error.h"

namespace nibble {
namespace {

bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
bool is_word(char c) {
  return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         static_cast<unsigned char>(c) >= 0x80;
}

struct Token {
  bool literal = false;  // a string
  std::string text;
  bool is(std::string_view symbol) const { return !literal && text == symbol; }
};
using Tokens = std::vector<Token>;

class Reader {
 public:
  explicit Reader(std::string_view source) : source_(source) {
    if (source_.ends_with('\n')) source_.remove_suffix(1);
  }

  std::string read() {
    while (at_ < source_.size()) {
      const size_t open = find_tag();
      std::string text(source_.substr(at_, open - at_));
      if (open == std::string_view::npos) {
        text = std::string(source_.substr(at_));
        at_ = source_.size();
        trim_left(text);
        literal(text);
        break;
      }
      const char kind = source_[open + 1];
      const char sign = open + 2 < source_.size() ? source_[open + 2] : ' ';
      trim_left(text);
      if (sign == '-') {
        while (!text.empty() && is_space(text.back())) text.pop_back();
      } else if (kind != '{' && sign != '+') {
        strip_line_start(text, open);
      }
      literal(text);
      at_ = open + (sign == '-' || sign == '+' ? 3 : 2);
      if (kind == '#')
        comment();
      else
        tag(kind);
    }
    flush();
    return drop_defaults(program_);
  }

 private:
  size_t find_tag() const {
    for (size_t i = at_; i + 1 < source_.size(); ++i)
      if (source_[i] == '{' &&
          (source_[i + 1] == '{' || source_[i + 1] == '%' || source_[i + 1] == '#'))
        return i;
    return std::string_view::npos;
  }

  // lstrip_blocks: blanks between the line's start and a block vanish.
  void strip_line_start(std::string& text, size_t open) const {
    size_t keep = text.size();
    while (keep > 0 && (text[keep - 1] == ' ' || text[keep - 1] == '\t')) --keep;
    const size_t start = open - (text.size() - keep);
    if (start == 0 || source_[start - 1] == '\n') text.resize(keep);
  }

  void trim_left(std::string& text) {
    size_t skip = 0;
    if (after_ == After::kAll)
      while (skip < text.size() && is_space(text[skip])) ++skip;
    else if (after_ == After::kNewline && text.starts_with('\n'))  // trim_blocks
      skip = 1;
    text.erase(0, skip);
    after_ = After::kNothing;
  }

  void comment() {
    const size_t close = source_.find("#}", at_);
    if (close == std::string_view::npos) throw DataError("a Jinja comment is not closed");
    after_ = close > at_ && source_[close - 1] == '-' ? After::kAll : After::kNewline;
    at_ = close + 2;
  }

  void tag(char kind) {
    const std::string_view close = kind == '{' ? "}}" : "%}";
    Tokens tokens;
    for (;;) {
      while (at_ < source_.size() && is_space(source_[at_])) ++at_;
      if (at_ >= source_.size()) throw DataError("a Jinja tag is not closed");
      const std::string_view rest = source_.substr(at_);
      if (rest.starts_with(close)) {
        after_ = kind == '%' ? After::kNewline : After::kNothing;
        at_ += 2;
        break;
      }
      if ((rest[0] == '-' || rest[0] == '+') && rest.substr(1).starts_with(close)) {
        after_ = rest[0] == '-' ? After::kAll : After::kNothing;
        at_ += 3;
        break;
      }
      tokens.push_back(token());
    }
    tokens = join_literals(members(tokens));
    if (kind == '{')
      output(tokens);
    else
      line("do " + spelled(tokens));
  }

  Token token() {
    const char c = source_[at_];
    if (c == '"' || c == '\'') return string_token(c);
    size_t end = at_ + 1;
    if (is_word(c)) {
      while (end < source_.size() && is_word(source_[end])) ++end;
    } else {
      const std::string_view two = source_.substr(at_, 2);
      for (const std::string_view pair : {"==", "!=", "<=", ">=", "//", "**"})
        if (two == pair) end = at_ + 2;
    }
    Token result{false, std::string(source_.substr(at_, end - at_))};
    at_ = end;
    return result;
  }

  Token string_token(char quote) {
    Token result{true, {}};
    for (++at_; at_ < source_.size(); ++at_) {
      char c = source_[at_];
      if (c == quote) {
        ++at_;
        return result;
      }
      if (c != '\\' || at_ + 1 >= source_.size()) {
        result.text += c;
        continue;
      }
      c = source_[++at_];
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
  static Tokens members(const Tokens& in) {
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
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }

  // "a" + "b" is "ab" where nothing on either side binds tighter than +.
  static Tokens join_literals(const Tokens& in) {
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

  // Output of a sum of strings is the outputs of its terms one after another.
  void output(const Tokens& tokens) {
    int depth = 0;
    size_t start = 0;
    bool splits = true;
    for (const Token& t : tokens) {
      if (t.is("(") || t.is("[") || t.is("{")) ++depth;
      if (t.is(")") || t.is("]") || t.is("}")) --depth;
      // Anything looser than + makes the terms no terms.
      for (const std::string_view loose : {"if", "else", "and", "or", "not", "in", "is",
                                           "==", "!=", "<", ">", "<=", ">=", "~", "-"})
        if (depth == 0 && t.is(loose)) splits = false;
    }
    for (size_t i = 0; i <= tokens.size(); ++i) {
      if (i < tokens.size()) {
        if (tokens[i].is("(") || tokens[i].is("[") || tokens[i].is("{")) ++depth;
        if (tokens[i].is(")") || tokens[i].is("]") || tokens[i].is("}")) --depth;
        if (!splits || depth != 0 || !tokens[i].is("+")) continue;
      }
      const Tokens term(tokens.begin() + static_cast<std::ptrdiff_t>(start),
                        tokens.begin() + static_cast<std::ptrdiff_t>(i));
      if (term.size() == 1 && term[0].literal)
        literal(term[0].text);
      else
        line("out " + spelled(term));
      start = i + 1;
    }
  }

  static std::string spelled(const Tokens& tokens) {
    std::string out;
    bool after_word = false;
    for (const Token& t : tokens) {
      const bool word = !t.literal && is_word(t.text[0]);
      // Spaces only where two words would run together or a word meets a literal.
      if (!out.empty() && (after_word && (word || t.literal))) out += ' ';
      if (!out.empty() && !after_word && word && out.back() == '"') out += ' ';
      out += t.literal ? program_literal(t.text) : t.text;
      after_word = word;
    }
    return out;
  }

  void literal(std::string_view text) { pending_ += text; }
  void flush() {
    if (!pending_.empty()) program_ += "out " + program_literal(pending_) + "\n";
    pending_.clear();
  }
  void line(const std::string& text) {
    flush();
    program_ += text + "\n";
  }

  // Names that transformers always defines need no default.
  static std::string drop_defaults(std::string program) {
    for (const std::string_view value : {"false", "False"}) {
      const std::string idle = cat("do if not add_generation_prompt is defined\n",
                                   "do set add_generation_prompt=", value, "\ndo endif\n");
      if (const size_t at = program.find(idle); at != std::string::npos)
        program.erase(at, idle.size());
    }
    return program;
  }

  std::string_view source_;
  size_t at_ = 0;
  enum class After { kNothing, kNewline, kAll } after_ = After::kNothing;
  std::string pending_, program_;
};

}  // namespace

std::string program_literal(std::string_view text) {
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

std::string jinja_program(std::string_view source) {
  return Reader(source).read();
}

}  // namespace nibble
