// SPDX-License-Identifier: Apache-2.0
// Expressions.
#include <algorithm>

#include "text/jinja_machine.h"

namespace nibble::jinja {

Value Machine::evaluate(const Expression& e) {
  // Names and constants are most of all.
  if (e.kind == ExpressionKind::kConstant) return e.value;
  step();
  if (e.kind == ExpressionKind::kName) return lookup(e.name);
  if (++depth_ > kMaxDepth) {
    --depth_;
    fail("RecursionError", "maximum recursion depth exceeded");
  }
  const Value v = evaluate_at(e);
  --depth_;
  return v;
}

Value Machine::evaluate_at(const Expression& e) {
  switch (e.kind) {
    case ExpressionKind::kAttribute: {
      const Value object = evaluate(*e.items[0]);
      line_ = e.line;
      return attribute(object, e.text);
    }
    case ExpressionKind::kItem:
      return subscript(e);
    case ExpressionKind::kSlice:
      return slice(e);
    case ExpressionKind::kCall:
      return call(e);
    case ExpressionKind::kFilter:
    case ExpressionKind::kTest:
      return call_routine(e);
    case ExpressionKind::kNot:
      return !truth(evaluate(*e.items[0]));
    case ExpressionKind::kMinus:
    case ExpressionKind::kPlus: {
      const Value v = evaluate(*e.items[0]);
      const bool minus = e.kind == ExpressionKind::kMinus;
      if (v.undefined_value()) fail_undefined(v);
      if (v.is(Kind::kFloat)) return minus ? -v.real : v.real;
      if (!v.is_integer())
        type_error(cat("bad operand type for unary ", minus ? "-" : "+", ": '", type_name(v), "'"));
      return minus ? binary(Operator::kSubtract, Value(int64_t{0}), v) : Value(v.as_integer());
    }
    case ExpressionKind::kAnd: {
      const Value left = evaluate(*e.items[0]);
      return truth(left) ? evaluate(*e.items[1]) : left;
    }
    case ExpressionKind::kOr: {
      const Value left = evaluate(*e.items[0]);
      return truth(left) ? left : evaluate(*e.items[1]);
    }
    case ExpressionKind::kBinary: {
      const Value left = evaluate(*e.items[0]), right = evaluate(*e.items[1]);
      line_ = e.line;
      return binary(e.op, left, right);
    }
    case ExpressionKind::kComparison:
      return comparison(e);
    case ExpressionKind::kConcat:
      return concatenation(e);
    case ExpressionKind::kCondition:
      if (truth(evaluate(*e.items[1]))) return evaluate(*e.items[0]);
      if (e.items[2]) return evaluate(*e.items[2]);
      return undefined(arena_.copy(cat("the inline if-expression on line ", e.line,
                                       " evaluated to false and no else section was defined.")));
    default:
      return collection(e);
  }
}

Value Machine::lookup(int name) {
  for (const Scope* s = scope_; s != nullptr; s = s->parent)
    for (uint32_t i = 0; i < s->size; ++i)
      if (s->bindings[i].name == name) return s->bindings[i].value;
  const auto at = static_cast<size_t>(name);
  if (!root_[at].missing()) return root_[at];
  if (!globals_[at].missing()) return globals_[at];
  return undefined(Value(Kind::kMissing), Value(std::string_view(program_.names[at])));
}

Value Machine::subscript(const Expression& e) {
  const Value object = evaluate(*e.items[0]), key = evaluate(*e.items[1]);
  line_ = e.line;
  return item(object, key);
}

Value Machine::comparison(const Expression& e) {
  Value left = evaluate(*e.items[0]);
  for (size_t i = 0; i < e.ops.size(); ++i) {
    const Value right = evaluate(*e.items[i + 1]);
    line_ = e.line;
    if (!compares(e.ops[i], left, right)) return false;
    left = right;
  }
  return true;
}

Value Machine::concatenation(const Expression& e) {
  std::string out;
  for (const ExpressionPtr& part : e.items) append_str(out, evaluate(*part));
  step(out.size() / 64);
  return text(out);
}

Value Machine::collection(const Expression& e) {
  if (e.kind == ExpressionKind::kDict) {
    Dict* out = dict(e.items.size() / 2);
    for (size_t i = 0; i + 1 < e.items.size(); i += 2) {
      const Value key = evaluate(*e.items[i]);
      set(*out, key, evaluate(*e.items[i + 1]));
    }
    return out;
  }
  CHECK(e.kind == ExpressionKind::kList || e.kind == ExpressionKind::kTuple);
  auto* items = arena_.array<Value>(e.items.size());
  for (size_t i = 0; i < e.items.size(); ++i) items[i] = evaluate(*e.items[i]);
  return arena_.make(List{items, e.items.size(),
                          e.kind == ExpressionKind::kList ? ListKind::kList : ListKind::kTuple});
}

}  // namespace nibble::jinja
