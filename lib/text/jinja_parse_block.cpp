// SPDX-License-Identifier: Apache-2.0
// Statements that have a body.
#include "base/error.h"
#include "text/jinja_parser.h"

namespace nibble::jinja {

Statement Parser::if_statement() {
  Statement s;
  s.kind = StatementKind::kIf;
  s.line = take().line;
  ++conditions_;
  for (;;) {
    ExpressionPtr test = tuple(false);
    s.branches.emplace_back(std::move(test), tag_body({"elif", "else", "endif"}));
    if (!skip_name("elif")) break;
  }
  if (skip_name("else")) s.otherwise = tag_body({"endif"});
  --conditions_;
  end_tag("endif");
  return s;
}

Statement Parser::for_statement() {
  Statement s;
  s.kind = StatementKind::kFor;
  s.line = take().line;
  s.target = target("in");
  expect_name("in");
  s.value = tuple(false, "recursive");
  if (skip_name("if")) s.test = expression();
  s.recursive = skip_name("recursive");
  const bool outer = std::exchange(captures_, false);
  ++loops_;
  s.body = tag_body({"endfor", "else"});
  --loops_;
  s.captures = captures_ || s.recursive;
  captures_ |= outer;
  if (skip_name("else")) s.otherwise = tag_body({"endfor"});
  end_tag("endfor");
  return s;
}

Statement Parser::set_statement() {
  Statement s;
  s.line = take().line;
  s.target = target({}, true);
  if (skip_operator("=")) {
    s.kind = StatementKind::kSet;
    s.value = tuple();
    return s;
  }
  s.kind = StatementKind::kSetBlock;
  s.value = filters(nullptr);
  s.body = tag_body({"endset"});
  end_tag("endset");
  return s;
}

void Parser::parameters(Statement& s) {
  expect_operator("(");
  while (!is_operator(")")) {
    if (!s.parameters.empty()) expect_operator(",");
    std::string name = take_name();
    const int id = program_->id(name);
    Parameter& p = s.parameters.emplace_back(Parameter{id, std::move(name), nullptr});
    if (skip_operator("="))
      p.otherwise = expression();
    else if (s.parameters.size() > 1 && s.parameters[s.parameters.size() - 2].otherwise)
      fault("non-default argument follows default argument");
  }
  expect_operator(")");
}

void Parser::macro_body(Statement& s, std::string_view end) {
  captures_ = true;
  const int loops = std::exchange(loops_, 0);
  macros_.push_back(&s);
  s.body = tag_body({end});
  macros_.pop_back();
  loops_ = loops;
  end_tag(end);
}

Statement Parser::macro_statement() {
  Statement s;
  s.kind = StatementKind::kMacro;
  s.line = take().line;
  s.text = take_name();
  s.name = program_->id(s.text);
  parameters(s);
  macro_body(s, "endmacro");
  return s;
}

Statement Parser::call_block() {
  Statement s;
  s.kind = StatementKind::kCallBlock;
  s.line = take().line;
  s.text = "caller";
  if (is_operator("(")) parameters(s);
  s.value = expression();
  if (s.value->kind != ExpressionKind::kCall) fault("expected call");
  macro_body(s, "endcall");
  return s;
}

Statement Parser::with_statement() {
  Statement s;
  s.kind = StatementKind::kWith;
  s.line = take().line;
  while (!is(LexemeKind::kBlockEnd) && !is_operator(":")) {
    if (!s.with.empty()) expect_operator(",");
    ExpressionPtr to = target();
    expect_operator("=");
    s.with.emplace_back(std::move(to), expression());
  }
  s.body = tag_body({"endwith"});
  end_tag("endwith");
  return s;
}

}  // namespace nibble::jinja
