// SPDX-License-Identifier: Apache-2.0
#include "text/jinja_program.h"

#include "base/error.h"
#include "text/jinja_expression.h"

namespace nibble {
namespace {

using jinja::is_space;
using jinja::Token;
using jinja::Tokens;

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
      tokens.push_back(jinja::read_token(source_, at_));
    }
    tokens = jinja::normalized(tokens);
    if (kind == '{')
      output(tokens);
    else
      line("do " + jinja::spelled(tokens));
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
        line("out " + jinja::spelled(term));
      start = i + 1;
    }
  }

  void literal(std::string_view text) { pending_ += text; }
  void flush() {
    if (!pending_.empty()) program_ += "out " + jinja::quoted(pending_) + "\n";
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

std::string jinja_program(std::string_view source) {
  return Reader(source).read();
}

}  // namespace nibble
