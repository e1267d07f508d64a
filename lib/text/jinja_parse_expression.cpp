// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/error.h"
#include "base/quote.h"
#include "text/jinja_parser.h"

namespace nibble::jinja {
namespace {

constexpr int kMaxHeight = 500;  // of an expression's tree

}  // namespace

ExpressionPtr Parser::make(ExpressionKind kind) const {
  auto e = std::make_unique<Expression>();
  e->kind = kind;
  e->line = peek().line;
  return e;
}

ExpressionPtr Parser::make(ExpressionKind kind, ExpressionPtr first, ExpressionPtr second) const {
  ExpressionPtr e = make(kind);
  if (first) e->line = first->line;
  e->height = 1 + std::max(first ? first->height : 0, second ? second->height : 0);
  if (e->height > kMaxHeight) fault("an expression has too many parts");
  e->items.push_back(std::move(first));
  if (second) e->items.push_back(std::move(second));
  return e;
}

ExpressionPtr Parser::tuple(bool conditions, std::string_view end, bool in_brackets) {
  const auto at_end = [&] {
    return is(LexemeKind::kVariableEnd) || is(LexemeKind::kBlockEnd) || is_operator(")") ||
           (!end.empty() && is_name(end));
  };
  ExpressionPtr all = make(ExpressionKind::kTuple);
  bool many = false;
  while (!at_end()) {
    all->items.push_back(expression(conditions));
    if (!skip_operator(",")) break;
    many = true;
  }
  if (many || (all->items.empty() && in_brackets)) return all;
  if (all->items.empty()) unexpected("an expression");
  return std::move(all->items[0]);
}

ExpressionPtr Parser::target_item(bool fields) {
  if (skip_operator("(")) {
    ExpressionPtr inner = target({}, fields);
    expect_operator(")");
    return inner;
  }
  ExpressionPtr e = make(ExpressionKind::kName);
  if (!is(LexemeKind::kName)) fault(cat("can't assign to ", quote(peek().text, 40)));
  const std::string name = take().text;
  for (const std::string_view constant : {"true", "false", "none", "True", "False", "None"})
    if (name == constant) fault(cat("can't assign to '", name, "'"));
  e->name = program_->id(name);
  if (fields && skip_operator(".")) {
    e->kind = ExpressionKind::kField;
    e->text = take_name();
  }
  return e;
}

ExpressionPtr Parser::target(std::string_view end, bool fields) {
  const Nested nested(*this);
  ExpressionPtr all = make(ExpressionKind::kTuple);
  bool many = false;
  do {
    if (many && ((!end.empty() && is_name(end)) || is_operator(")") || is_operator("="))) break;
    all->items.push_back(target_item(fields));
    if (is_operator(",")) many = true;
  } while (skip_operator(","));
  return many ? std::move(all) : std::move(all->items[0]);
}

ExpressionPtr Parser::expression(bool conditions) {
  const Nested nested(*this);
  return conditions ? condition() : disjunction();
}

ExpressionPtr Parser::condition() {
  const size_t unknown = unknown_.size();
  ExpressionPtr e = disjunction();
  while (skip_name("if")) {
    unknown_.resize(unknown);  // a condition may guard them
    ExpressionPtr test = disjunction();
    e = make(ExpressionKind::kCondition, std::move(e), std::move(test));
    if (skip_name("else")) {
      const Nested nested(*this);
      e->items.push_back(condition());
    } else {
      e->items.push_back(nullptr);
    }
    unknown_.resize(unknown);
  }
  return e;
}

ExpressionPtr Parser::disjunction() {
  ExpressionPtr e = conjunction();
  while (skip_name("or")) {
    ExpressionPtr right = conjunction();
    e = make(ExpressionKind::kOr, std::move(e), std::move(right));
  }
  return e;
}

ExpressionPtr Parser::conjunction() {
  ExpressionPtr e = negation();
  while (skip_name("and")) {
    ExpressionPtr right = negation();
    e = make(ExpressionKind::kAnd, std::move(e), std::move(right));
  }
  return e;
}

ExpressionPtr Parser::negation() {
  if (!skip_name("not")) return comparison();
  const Nested nested(*this);
  return make(ExpressionKind::kNot, negation(), nullptr);
}

ExpressionPtr Parser::comparison() {
  constexpr std::pair<std::string_view, Operator> kComparisons[] = {
      {"==", Operator::kEqual},        {"!=", Operator::kUnequal}, {"<=", Operator::kLessEqual},
      {">=", Operator::kGreaterEqual}, {"<", Operator::kLess},     {">", Operator::kGreater}};
  ExpressionPtr e = sum();
  ExpressionPtr whole;
  for (;;) {
    const auto symbol = std::find_if(std::begin(kComparisons), std::end(kComparisons),
                                     [&](const auto& c) { return is_operator(c.first); });
    Operator op = Operator::kIn;
    if (symbol != std::end(kComparisons)) {
      op = symbol->second;
      take();
    } else if (is_name("not") && is_name("in", 1)) {
      op = Operator::kNotIn;
      take();
      take();
    } else if (!skip_name("in")) {
      break;
    }
    if (!whole) whole = make(ExpressionKind::kComparison, std::move(e), nullptr);
    whole->ops.push_back(op);
    whole->items.push_back(sum());
  }
  return whole ? std::move(whole) : std::move(e);
}

ExpressionPtr Parser::sum() {
  ExpressionPtr e = concatenation();
  while (is_operator("+") || is_operator("-")) {
    const bool add = take().text == "+";
    ExpressionPtr right = concatenation();
    e = make(ExpressionKind::kBinary, std::move(e), std::move(right));
    e->op = add ? Operator::kAdd : Operator::kSubtract;
  }
  return e;
}

ExpressionPtr Parser::concatenation() {
  ExpressionPtr e = product();
  if (!is_operator("~")) return e;
  e = make(ExpressionKind::kConcat, std::move(e), nullptr);
  while (skip_operator("~")) e->items.push_back(product());
  return e;
}

ExpressionPtr Parser::product() {
  ExpressionPtr e = power();
  for (;;) {
    Operator op = Operator::kMultiply;
    if (is_operator("/"))
      op = Operator::kDivide;
    else if (is_operator("//"))
      op = Operator::kFloorDivide;
    else if (is_operator("%"))
      op = Operator::kModulo;
    else if (!is_operator("*"))
      return e;
    take();
    ExpressionPtr right = power();
    e = make(ExpressionKind::kBinary, std::move(e), std::move(right));
    e->op = op;
  }
}

ExpressionPtr Parser::power() {
  ExpressionPtr e = unary();
  while (skip_operator("**")) {
    ExpressionPtr right = unary();
    e = make(ExpressionKind::kBinary, std::move(e), std::move(right));
    e->op = Operator::kPower;
  }
  return e;
}

ExpressionPtr Parser::unary(bool filters_too) {
  ExpressionPtr e;
  if (is_operator("-") || is_operator("+")) {
    const Nested nested(*this);
    const bool minus = take().text == "-";
    e = make(minus ? ExpressionKind::kMinus : ExpressionKind::kPlus, unary(false), nullptr);
  } else {
    e = primary();
  }
  e = postfix(std::move(e));
  return filters_too ? postfix_filters(std::move(e)) : std::move(e);
}

}  // namespace nibble::jinja
