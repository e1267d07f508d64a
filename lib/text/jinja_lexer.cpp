// SPDX-License-Identifier: Apache-2.0
#include "text/jinja_lexer.h"

#include <algorithm>

#include "base/error.h"
#include "base/quote.h"
#include "text/unicode.h"

namespace nibble::jinja {
namespace {

// Every line break as "\n", and none at the very end.
std::string normalized(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out += source[i];
      continue;
    }
    out += '\n';
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_word(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalized(source)), rest_(source_) {}

  std::vector<Lexeme> run() {
    while (at_ < source_.size()) text();
    add(LexemeKind::kEnd, "");
    return std::move(lexemes_);
  }

 private:
  [[noreturn]] void fault(std::string message) const { throw SyntaxFault{line_, message}; }

  bool starts(std::string_view what) const { return rest_.substr(at_).starts_with(what); }
  void add(LexemeKind kind, std::string text) { lexemes_.push_back({kind, line_, text}); }

  // Moves past `bytes`, counting lines.
  void pass(size_t bytes) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(at_ + bytes),
                                         '\n'));
    at_ += bytes;
    if (bytes > 0) line_starting_ = source_[at_ - 1] == '\n';
  }

  void pass_space() {
    while (at_ < source_.size()) {
      const CodePoint p = read_utf8(source_, at_);
      if (!is_python_space(p.code)) return;
      pass(static_cast<size_t>(p.size));
    }
  }

  // The text before a tag whose sign ('-', '+' or none) is known.
  void add_text(std::string_view text, char sign, bool variable) {
    if (sign == '-') {
      text = text.substr(0, stripped_right(text));
    } else if (sign != '+' && !variable) {
      const size_t line = text.rfind('\n') + 1;
      if ((line > 0 || line_starting_) && python_strip(text.substr(line)).empty())
        text = text.substr(0, line);
    }
    if (!text.empty()) add(LexemeKind::kText, std::string(text));
  }

  static size_t stripped_right(std::string_view text) {
    const std::string_view core = python_strip(text);
    return core.empty() ? 0 : static_cast<size_t>(core.data() - text.data()) + core.size();
  }

  char sign_at(size_t at) const {
    const char c = at < source_.size() ? source_[at] : ' ';
    return c == '-' || c == '+' ? c : ' ';
  }

  // Text up to the next tag, and that tag.
  void text() {
    size_t tag = source_.find('{', at_);
    while (tag != std::string::npos && tag + 1 < source_.size() && source_[tag + 1] != '%' &&
           source_[tag + 1] != '{' && source_[tag + 1] != '#')
      tag = source_.find('{', tag + 1);
    if (tag == std::string::npos || tag + 1 >= source_.size()) {
      add(LexemeKind::kText, source_.substr(at_));
      pass(source_.size() - at_);
      return;
    }
    const char type = source_[tag + 1], sign = sign_at(tag + 2);
    add_text(rest_.substr(at_, tag - at_), sign, type == '{');
    pass(tag - at_);
    if (type == '%' && raw_tag("raw")) return raw();
    pass(sign == ' ' ? 2 : 3);
    if (type == '#') return comment();
    add(type == '%' ? LexemeKind::kBlockBegin : LexemeKind::kVariableBegin, "");
    tag_tokens(type == '%');
  }

  void comment() {
    const size_t close = source_.find("#}", at_);
    if (close == std::string::npos) fault("Missing end of comment tag");
    const char sign = close > at_ ? sign_at(close - 1) : ' ';
    pass(close + 2 - at_);
    end_of_tag(sign, true);
  }

  // After a tag's last character: what the sign takes with it.
  void end_of_tag(char sign, bool trim) {
    if (sign == '-')
      pass_space();
    else if (trim && sign != '+' && starts("\n"))
      pass(1);
  }

  // Bytes of {% NAME %} at the cursor, signs and spaces included; 0 where it is another tag.
  size_t raw_tag(std::string_view name, size_t from = std::string::npos) {
    size_t at = (from == std::string::npos ? at_ : from) + 2;
    const auto skip_space = [&] {
      while (at < source_.size() && is_python_space(static_cast<unsigned char>(source_[at]))) ++at;
    };
    if (sign_at(at) != ' ') ++at;
    skip_space();
    if (!rest_.substr(std::min(at, rest_.size())).starts_with(name)) return 0;
    at += name.size();
    skip_space();
    close_sign_ = sign_at(at);
    if (close_sign_ != ' ') ++at;
    if (!rest_.substr(std::min(at, rest_.size())).starts_with("%}")) return 0;
    return at + 2 - (from == std::string::npos ? at_ : from);
  }

  void raw() {
    pass(raw_tag("raw"));
    end_of_tag(close_sign_, false);
    for (size_t end = source_.find("{%", at_); end != std::string::npos;
         end = source_.find("{%", end + 2)) {
      const size_t bytes = raw_tag("endraw", end);
      if (bytes == 0) continue;
      const char sign = close_sign_;
      add_text(rest_.substr(at_, end - at_), sign_at(end + 2), false);
      pass(end + bytes - at_);
      return end_of_tag(sign, true);
    }
    fault("Missing end of raw directive");
  }

  // The tokens of a tag and its end.
  void tag_tokens(bool block) {
    const std::string_view close = block ? "%}" : "}}";
    std::string open;  // brackets that wait for their end
    while (at_ < source_.size()) {
      if (open.empty()) {
        const char sign = sign_at(at_);
        const bool is_end =
            sign == ' ' ? starts(close)
                        : (sign == '-' || block) && rest_.substr(at_ + 1).starts_with(close);
        if (is_end) {
          add(block ? LexemeKind::kBlockEnd : LexemeKind::kVariableEnd, "");
          pass(sign == ' ' ? 2 : 3);
          return end_of_tag(sign, block);
        }
      }
      const CodePoint p = read_utf8(source_, at_);
      if (is_python_space(p.code))
        pass_space();
      else
        token(open);
    }
    fault(cat("unexpected end of template, expected '", close, "'"));
  }

  void token(std::string& open) {
    const char c = source_[at_];
    if (is_digit(c)) return number();
    if (is_word(c)) {
      size_t end = at_;
      while (end < source_.size() && is_word(source_[end])) ++end;
      add(LexemeKind::kName, source_.substr(at_, end - at_));
      return pass(end - at_);
    }
    if (c == '"' || c == '\'') return string();
    for (const std::string_view two : {"//", "**", "==", "!=", ">=", "<="})
      if (starts(two)) {
        add(LexemeKind::kOperator, std::string(two));
        return pass(2);
      }
    if (std::string_view("+-/*%~[](){}><=.:|,;").find(c) == std::string_view::npos)
      fault(cat("unexpected char ", quote(rest_.substr(at_, 1))));
    bracket(c, open);
    add(LexemeKind::kOperator, std::string(1, c));
    pass(1);
  }

  void bracket(char c, std::string& open) const {
    if (c == '(') open += ')';
    if (c == '[') open += ']';
    if (c == '{') open += '}';
    if (c != ')' && c != ']' && c != '}') return;
    if (open.empty()) fault(cat("unexpected '", c, "'"));
    if (open.back() != c) fault(cat("unexpected '", c, "', expected '", open.back(), "'"));
    open.pop_back();
  }

  // Digits with single underscores between them.
  size_t digits(size_t at) const {
    while (at < source_.size() &&
           (is_digit(source_[at]) || (source_[at] == '_' && at + 1 < source_.size() &&
                                      is_digit(source_[at + 1]) && is_digit(source_[at - 1]))))
      ++at;
    return at;
  }

  void number() {
    const auto at = [&](size_t i) { return i < source_.size() ? source_[i] : ' '; };
    const auto lower = [&](size_t i) { return static_cast<char>(at(i) | 0x20); };
    size_t end = digits(at_);
    bool real = false;
    if (source_[at_] == '0' &&
        (lower(at_ + 1) == 'x' || lower(at_ + 1) == 'o' || lower(at_ + 1) == 'b')) {
      end = at_ + 2;
      while (end < source_.size() && is_word(source_[end])) ++end;
    } else if (at_ == 0 || source_[at_ - 1] != '.') {
      if (at(end) == '.' && is_digit(at(end + 1))) {
        real = true;
        end = digits(end + 1);
      }
      const size_t sign = at(end + 1) == '+' || at(end + 1) == '-' ? 1 : 0;
      if (lower(end) == 'e' && is_digit(at(end + 1 + sign))) {
        real = true;
        end = digits(end + 1 + sign);
      }
    }
    std::string text = source_.substr(at_, end - at_);
    std::erase(text, '_');
    add(real ? LexemeKind::kFloat : LexemeKind::kInteger, std::move(text));
    pass(end - at_);
  }

  void string() {
    const char close = source_[at_];
    size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != close) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) fault(cat("unexpected char ", quote(std::string(1, close))));
    add(LexemeKind::kString, unescaped(rest_.substr(at_ + 1, end - at_ - 1), line_));
    pass(end + 1 - at_);
  }

  const std::string source_;
  const std::string_view rest_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  char close_sign_ = ' ';
  std::vector<Lexeme> lexemes_;
};

}  // namespace

std::vector<Lexeme> lex(std::string_view source) {
  return Lexer(source).run();
}

}  // namespace nibble::jinja
