// SPDX-License-Identifier: Apache-2.0
// Reads lexemes into a tree by recursive descent: jinja2's grammar and precedences.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja_lexer.h"
#include "text/jinja_syntax.h"

namespace nibble::jinja {

class Parser {
 public:
  explicit Parser(std::string_view source)
      : lexemes_(lex(source)), program_(std::make_unique<Program>()) {}

  std::unique_ptr<Program> run();

 private:
  // The cursor.
  const Lexeme& peek(size_t ahead = 0) const;
  Lexeme take();
  bool is(LexemeKind kind) const { return peek().kind == kind; }
  bool is_name(std::string_view name, size_t ahead = 0) const;
  bool is_operator(std::string_view op, size_t ahead = 0) const;
  bool skip_name(std::string_view name);
  bool skip_operator(std::string_view op);
  void expect_operator(std::string_view op);
  void expect_name(std::string_view name);
  void expect(LexemeKind kind, std::string_view what);
  std::string take_name();
  [[noreturn]] void fault(const std::string& message) const;
  [[noreturn]] void unexpected(std::string_view wanted) const;

  // Statements (jinja_parser.cpp).
  using Names = std::initializer_list<std::string_view>;
  Body body_until(Names ends);  // the cursor is on the end's name
  Body tag_body(Names ends);    // after the rest of the tag
  void end_tag(std::string_view name);
  Statement statement();
  Statement if_statement();
  Statement for_statement();
  Statement set_statement();
  Statement macro_statement();
  Statement call_block();
  Statement with_statement();
  void parameters(Statement& s);
  void macro_body(Statement& s, std::string_view end);

  // Expressions (jinja_parse_expression.cpp).
  ExpressionPtr tuple(bool conditions = true, std::string_view end = {}, bool in_brackets = false);
  ExpressionPtr target(std::string_view end = {}, bool fields = false);
  ExpressionPtr target_item(bool fields);
  ExpressionPtr expression(bool conditions = true);
  ExpressionPtr condition();
  ExpressionPtr disjunction();
  ExpressionPtr conjunction();
  ExpressionPtr negation();
  ExpressionPtr comparison();
  ExpressionPtr sum();
  ExpressionPtr concatenation();
  ExpressionPtr product();
  ExpressionPtr power();
  ExpressionPtr unary(bool filters = true);
  ExpressionPtr primary();
  ExpressionPtr name_or_constant();
  ExpressionPtr number();
  ExpressionPtr list();
  ExpressionPtr dict();
  ExpressionPtr postfix(ExpressionPtr base);
  ExpressionPtr postfix_filters(ExpressionPtr base);
  ExpressionPtr subscript(ExpressionPtr base);
  ExpressionPtr call(ExpressionPtr base);
  ExpressionPtr filter(ExpressionPtr base);  // the cursor is on its name
  ExpressionPtr filters(ExpressionPtr base);
  ExpressionPtr test(ExpressionPtr base);
  CallSyntax arguments();
  const Routine* routine(const std::string& name, bool is_filter);

  ExpressionPtr make(ExpressionKind kind) const;
  ExpressionPtr make(ExpressionKind kind, ExpressionPtr first, ExpressionPtr second) const;

  std::vector<Lexeme> lexemes_;
  size_t at_ = 0;
  std::unique_ptr<Program> program_;
  int depth_ = 0, loops_ = 0, conditions_ = 0;
  std::vector<Statement*> macros_;    // around the cursor
  bool captures_ = false;             // a macro was met
  std::vector<SyntaxFault> unknown_;  // filters and tests

  friend class Nested;
};

/// One level of nesting; too many are a fault.
class Nested {
 public:
  explicit Nested(Parser& parser);
  ~Nested() { --parser_.depth_; }
  Nested(const Nested&) = delete;
  Nested& operator=(const Nested&) = delete;

 private:
  Parser& parser_;
};

}  // namespace nibble::jinja
