// SPDX-License-Identifier: Apache-2.0
// What operators stand between: literals, names, and what is called on them.
#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/quote.h"
#include "text/jinja_parser.h"

namespace nibble::jinja {

ExpressionPtr Parser::number() {
  ExpressionPtr e = make(ExpressionKind::kConstant);
  const Lexeme lexeme = take();
  if (lexeme.kind == LexemeKind::kFloat) {
    double value = 0;
    std::from_chars(lexeme.text.data(), lexeme.text.data() + lexeme.text.size(), value);
    e->value = value;
    return e;
  }
  std::string_view digits = lexeme.text;
  int base = 10;
  if (digits.size() > 2 && digits[0] == '0' && (digits[1] < '0' || digits[1] > '9')) {
    base = (digits[1] | 0x20) == 'x' ? 16 : (digits[1] | 0x20) == 'o' ? 8 : 2;
    digits.remove_prefix(2);
  }
  int64_t value = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (error != std::errc() || end != digits.data() + digits.size())
    fault(cat("the integer ", quote(lexeme.text, 40), " is beyond 64 bits or none"));
  e->value = value;
  return e;
}

ExpressionPtr Parser::name_or_constant() {
  const std::string& name = peek().text;
  ExpressionPtr e = make(ExpressionKind::kConstant);
  if (name == "true" || name == "True" || name == "false" || name == "False") {
    e->value = name[0] == 't' || name[0] == 'T';
  } else if (name == "none" || name == "None") {
    e->value = Value(Kind::kNone);
  } else {
    e->kind = ExpressionKind::kName;
    e->name = program_->id(name);
    for (Statement* macro : macros_) {
      macro->uses_caller |= name == "caller";
      macro->uses_kwargs |= name == "kwargs";
      macro->uses_varargs |= name == "varargs";
    }
  }
  take();
  return e;
}

ExpressionPtr Parser::primary() {
  switch (peek().kind) {
    case LexemeKind::kName:
      return name_or_constant();
    case LexemeKind::kInteger:
    case LexemeKind::kFloat:
      return number();
    case LexemeKind::kString: {
      ExpressionPtr e = make(ExpressionKind::kConstant);
      while (is(LexemeKind::kString)) e->text += take().text;
      e->value = Value(std::string_view(e->text));
      return e;
    }
    default:
      break;
  }
  if (is_operator("[")) return list();
  if (is_operator("{")) return dict();
  if (!skip_operator("(")) unexpected("an expression");
  ExpressionPtr e = tuple(true, {}, true);
  expect_operator(")");
  return e;
}

ExpressionPtr Parser::list() {
  ExpressionPtr e = make(ExpressionKind::kList);
  expect_operator("[");
  while (!is_operator("]")) {
    if (!e->items.empty()) expect_operator(",");
    if (is_operator("]")) break;
    e->items.push_back(expression());
  }
  expect_operator("]");
  return e;
}

ExpressionPtr Parser::dict() {
  ExpressionPtr e = make(ExpressionKind::kDict);
  expect_operator("{");
  while (!is_operator("}")) {
    if (!e->items.empty()) expect_operator(",");
    if (is_operator("}")) break;
    e->items.push_back(expression());
    expect_operator(":");
    e->items.push_back(expression());
  }
  expect_operator("}");
  return e;
}

ExpressionPtr Parser::postfix(ExpressionPtr e) {
  for (;;) {
    if (is_operator(".") || is_operator("["))
      e = subscript(std::move(e));
    else if (is_operator("("))
      e = call(std::move(e));
    else
      return e;
  }
}

ExpressionPtr Parser::postfix_filters(ExpressionPtr e) {
  for (;;) {
    if (is_operator("|"))
      e = filters(std::move(e));
    else if (is_name("is"))
      e = test(std::move(e));
    else if (is_operator("("))
      e = call(std::move(e));
    else
      return e;
  }
}

ExpressionPtr Parser::subscript(ExpressionPtr base) {
  ExpressionPtr e = make(ExpressionKind::kItem, std::move(base), nullptr);
  e->line = peek().line;
  if (skip_operator(".")) {
    if (is(LexemeKind::kInteger)) {
      e->items.push_back(number());
    } else {
      e->kind = ExpressionKind::kAttribute;
      e->text = take_name();
    }
    return e;
  }
  expect_operator("[");
  const auto bound = [&] {
    const bool none = is_operator(":") || is_operator("]") || is_operator(",");
    e->items.push_back(none ? nullptr : expression());
  };
  bound();
  if (is_operator(":")) {
    e->kind = ExpressionKind::kSlice;
    for (int i = 0; i < 2; ++i) {
      if (skip_operator(":"))
        bound();
      else
        e->items.push_back(nullptr);
    }
  } else if (!e->items[1]) {
    unexpected("an expression");
  } else if (is_operator(",")) {
    ExpressionPtr key = make(ExpressionKind::kTuple, std::move(e->items[1]), nullptr);
    while (skip_operator(",") && !is_operator("]")) key->items.push_back(expression());
    e->items[1] = std::move(key);
  }
  expect_operator("]");
  return e;
}

CallSyntax Parser::arguments() {
  CallSyntax call;
  expect_operator("(");
  bool first = true;
  while (!is_operator(")")) {
    if (!first) expect_operator(",");
    if (is_operator(")")) break;
    first = false;
    if (call.more_named) fault("invalid syntax for function call expression");
    if (skip_operator("**")) {
      call.more_named = expression();
    } else if (is(LexemeKind::kName) && is_operator("=", 1)) {
      std::string name = take_name();
      expect_operator("=");
      for (const auto& [other, value] : call.named)
        if (other == name) fault(cat("keyword argument repeated: ", name));
      call.named.emplace_back(std::move(name), expression());
    } else if (call.more_positional || (!is_operator("*") && !call.named.empty())) {
      fault("invalid syntax for function call expression");
    } else if (skip_operator("*")) {
      call.more_positional = expression();
    } else {
      call.positional.push_back(expression());
    }
  }
  expect_operator(")");
  return call;
}

ExpressionPtr Parser::call(ExpressionPtr base) {
  ExpressionPtr e = make(ExpressionKind::kCall, std::move(base), nullptr);
  e->line = peek().line;
  e->call = arguments();
  return e;
}

// An unknown one is a fault, but where a condition may guard it; there it is one when it is met.
const Routine* Parser::routine(const std::string& name, bool is_filter) {
  const Routine* found = is_filter ? find_filter(name) : find_test(name);
  if (found == nullptr && conditions_ == 0)
    unknown_.push_back(
        {peek().line, cat("No ", is_filter ? "filter" : "test", " named '", name, "'.")});
  return found;
}

ExpressionPtr Parser::filter(ExpressionPtr base) {
  ExpressionPtr e = make(ExpressionKind::kFilter, std::move(base), nullptr);
  e->line = peek().line;
  e->text = take_name();
  while (skip_operator(".")) e->text += cat(".", take_name());
  e->routine = routine(e->text, true);
  if (is_operator("(")) e->call = arguments();
  return e;
}

ExpressionPtr Parser::filters(ExpressionPtr e) {
  while (skip_operator("|")) e = filter(std::move(e));
  return e;
}

ExpressionPtr Parser::test(ExpressionPtr base) {
  expect_name("is");
  const bool negated = skip_name("not");
  ExpressionPtr e = make(ExpressionKind::kTest, std::move(base), nullptr);
  e->line = peek().line;
  e->text = take_name();
  while (skip_operator(".")) e->text += cat(".", take_name());
  e->routine = routine(e->text, false);
  const bool word = is(LexemeKind::kName) && !is_name("else") && !is_name("or") && !is_name("and");
  if (is_operator("(")) {
    e->call = arguments();
  } else if (word || is(LexemeKind::kString) || is(LexemeKind::kInteger) ||
             is(LexemeKind::kFloat) || is_operator("[") || is_operator("{")) {
    if (is_name("is")) fault("You cannot chain multiple tests with is");
    e->call.positional.push_back(postfix(primary()));
  }
  return negated ? make(ExpressionKind::kNot, std::move(e), nullptr) : std::move(e);
}

}  // namespace nibble::jinja
