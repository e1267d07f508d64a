// SPDX-License-Identifier: Apache-2.0
#include "text/jinja_parser.h"

#include <algorithm>

#include "base/error.h"
#include "base/quote.h"

namespace nibble::jinja {
namespace {

constexpr int kMostNested = 150;  // of brackets and blocks

std::string described(const Lexeme& lexeme) {
  switch (lexeme.kind) {
    case LexemeKind::kText:
      return "template data / text";
    case LexemeKind::kVariableBegin:
      return "begin of print statement";
    case LexemeKind::kVariableEnd:
      return "end of print statement";
    case LexemeKind::kBlockBegin:
      return "begin of statement block";
    case LexemeKind::kBlockEnd:
      return "end of statement block";
    case LexemeKind::kEnd:
      return "end of template";
    default:
      return lexeme.text;
  }
}

}  // namespace

Nested::Nested(Parser& parser) : parser_(parser) {
  if (++parser_.depth_ > kMostNested) {
    --parser_.depth_;
    parser_.fault(cat("nested more than ", kMostNested, " deep"));
  }
}

const Lexeme& Parser::peek(size_t ahead) const {
  return lexemes_[std::min(at_ + ahead, lexemes_.size() - 1)];
}
Lexeme Parser::take() {
  Lexeme lexeme = peek();
  if (at_ + 1 < lexemes_.size()) ++at_;
  return lexeme;
}
bool Parser::is_name(std::string_view name, size_t ahead) const {
  return peek(ahead).kind == LexemeKind::kName && peek(ahead).text == name;
}
bool Parser::is_operator(std::string_view op, size_t ahead) const {
  return peek(ahead).kind == LexemeKind::kOperator && peek(ahead).text == op;
}
bool Parser::skip_name(std::string_view name) {
  if (!is_name(name)) return false;
  take();
  return true;
}
bool Parser::skip_operator(std::string_view op) {
  if (!is_operator(op)) return false;
  take();
  return true;
}
void Parser::expect_operator(std::string_view op) {
  if (!skip_operator(op)) unexpected(op);
}
void Parser::expect_name(std::string_view name) {
  if (!skip_name(name)) unexpected(name);
}
void Parser::expect(LexemeKind kind, std::string_view what) {
  if (!is(kind)) unexpected(what);
  take();
}
std::string Parser::take_name() {
  if (!is(LexemeKind::kName)) unexpected("name");
  return take().text;
}
void Parser::fault(const std::string& message) const {
  throw SyntaxFault{peek().line, message};
}
void Parser::unexpected(std::string_view wanted) const {
  fault(cat("expected ", wanted, ", got ", quote(described(peek()), 40)));
}

std::unique_ptr<Program> Parser::run() {
  program_->body = body_until({});
  if (!unknown_.empty()) throw unknown_.front();
  return std::move(program_);
}

Body Parser::body_until(Names ends) {
  const Nested nested(*this);
  Body body;
  while (!is(LexemeKind::kEnd)) {
    if (is(LexemeKind::kText)) {
      Statement& s = body.emplace_back();
      s.line = peek().line;
      s.text = take().text;
    } else if (is(LexemeKind::kVariableBegin)) {
      Statement& s = body.emplace_back();
      s.kind = StatementKind::kPrint;
      s.line = take().line;
      s.value = tuple();
      expect(LexemeKind::kVariableEnd, "end of print statement");
    } else {
      expect(LexemeKind::kBlockBegin, "begin of statement block");
      if (std::any_of(ends.begin(), ends.end(), [&](auto end) { return is_name(end); }))
        return body;
      body.push_back(statement());
      expect(LexemeKind::kBlockEnd, "end of statement block");
    }
  }
  if (ends.size() == 0) return body;
  std::string wanted;
  for (const std::string_view end : ends) wanted += cat(wanted.empty() ? "'" : " or '", end, "'");
  fault(cat("Unexpected end of template. Jinja was looking for the following tags: ", wanted, "."));
}

Body Parser::tag_body(Names ends) {
  skip_operator(":");
  expect(LexemeKind::kBlockEnd, "end of statement block");
  return body_until(ends);
}

void Parser::end_tag(std::string_view name) {
  expect_name(name);
}

Statement Parser::statement() {
  if (!is(LexemeKind::kName)) fault("tag name expected");
  const std::string& tag = peek().text;
  if (tag == "if") return if_statement();
  if (tag == "for") return for_statement();
  if (tag == "set") return set_statement();
  if (tag == "macro") return macro_statement();
  if (tag == "call") return call_block();
  if (tag == "with") return with_statement();
  Statement s;
  s.line = peek().line;
  if (tag == "break" || tag == "continue") {
    if (loops_ == 0) fault(cat("'", tag, "' outside loop"));
    s.kind = tag == "break" ? StatementKind::kBreak : StatementKind::kContinue;
    take();
  } else if (tag == "print") {
    take();
    s.kind = StatementKind::kPrint;
    s.value = make(ExpressionKind::kConcat);
    do s.value->items.push_back(expression());
    while (skip_operator(","));
  } else if (tag == "filter") {
    take();
    s.kind = StatementKind::kFilterBlock;
    s.value = filters(filter(nullptr));
    s.body = tag_body({"endfilter"});
    end_tag("endfilter");
  } else if (tag == "generation") {
    take();
    s.kind = StatementKind::kGeneration;
    program_->generation = true;
    const int loops = std::exchange(loops_, 0);
    s.body = tag_body({"endgeneration"});
    loops_ = loops;
    end_tag("endgeneration");
  } else if (tag == "autoescape") {
    take();
    s.kind = StatementKind::kScope;
    const ExpressionPtr on = expression();
    if (on->kind != ExpressionKind::kConstant || truth(on->value))
      fault("autoescape is not supported");
    s.body = tag_body({"endautoescape"});
    end_tag("endautoescape");
  } else if (tag == "block" || tag == "extends" || tag == "include" || tag == "import" ||
             tag == "from") {
    fault(cat("'", tag, "' is not supported: a chat template is one file"));
  } else {
    fault(cat("Encountered unknown tag ", quote(tag, 40), "."));
  }
  return s;
}

std::unique_ptr<Program> parse_program(std::string_view source) {
  return Parser(source).run();
}

}  // namespace nibble::jinja
