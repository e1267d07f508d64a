// SPDX-License-Identifier: Apache-2.0
// Expressions.
#include <algorithm>

#include "text/jinja_machine.h"

namespace nibble::jinja {

Bound::Bound(const Arguments& arguments, std::string_view function,
             std::initializer_list<std::string_view> names, size_t required) {
  CHECK(names.size() <= kMost);
  std::fill(std::begin(values_), std::end(values_), Value(Kind::kMissing));
  if (arguments.positional.size() > names.size())
    type_error(cat(function, "() takes at most ", names.size(), " arguments (",
                   arguments.positional.size(), " given)"));
  std::copy(arguments.positional.begin(), arguments.positional.end(), values_);
  for (const NamedValue& n : arguments.named) {
    const auto* const at = std::find(names.begin(), names.end(), n.name);
    if (at == names.end())
      type_error(cat(function, "() got an unexpected keyword argument '", n.name, "'"));
    Value& v = values_[at - names.begin()];
    if (!v.missing())
      type_error(cat(function, "() got multiple values for argument '", n.name, "'"));
    v = n.value;
  }
  for (size_t i = 0; i < required; ++i)
    if (values_[i].missing())
      type_error(cat(function, "() missing required argument '", names.begin()[i], "'"));
}

int64_t Bound::integer(size_t i, int64_t otherwise) const {
  const Value& v = values_[i];
  if (v.missing() || v.none()) return otherwise;
  if (!v.is_integer())
    type_error(cat("'", type_name(v), "' object cannot be interpreted as an integer"));
  return v.as_integer();
}

std::string_view Bound::text(size_t i, std::string_view otherwise) const {
  const Value& v = values_[i];
  if (v.missing() || v.none()) return otherwise;
  if (!v.is_string()) type_error(cat("expected str, not ", type_name(v)));
  return v.text();
}

Value Machine::list(std::span<const Value> items, ListKind kind) {
  step(items.size());
  auto* copy = arena_.array<Value>(items.size());
  std::copy(items.begin(), items.end(), copy);
  return arena_.make(List{copy, items.size(), kind});
}

Value Machine::pair(const Value& first, const Value& second) {
  const Value items[] = {first, second};
  return list(items, ListKind::kTuple);
}

Value Machine::iterator(std::span<const Value> items) {
  return arena_.make(Iterator{list(items).list});
}

Dict* Machine::dict(size_t capacity) {
  return arena_.make(Dict{arena_.array<Entry>(capacity), 0, capacity});
}

void Machine::set(Dict& d, const Value& key, const Value& value) {
  check_hashable(key);
  step(1 + d.size / 8);
  if (Entry* known = find(d, key)) {
    known->value = value;
    return;
  }
  if (d.size == d.capacity) {
    const size_t capacity = std::max<size_t>(4, 2 * d.capacity);
    auto* more = arena_.array<Entry>(capacity);
    std::copy(d.begin(), d.end(), more);
    d.entries = more;
    d.capacity = capacity;
  }
  d.entries[d.size++] = {key, value};
}

Value Machine::undefined(std::string_view hint, const char* kind) {
  Value v(Kind::kUndefined);
  v.undefined = arena_.make(Undefined{hint, Value(Kind::kMissing), Value(Kind::kMissing), kind});
  return v;
}

Value Machine::undefined(const Value& object, const Value& name) {
  Value v(Kind::kUndefined);
  v.undefined = arena_.make(Undefined{{}, object, name});
  return v;
}

Value Machine::function(std::string_view name, Run code, const Value& self) {
  return static_cast<const Function*>(arena_.make(Function{name, code, self}));
}

void Machine::fail_undefined(const Value& v) {
  const Undefined& u = *v.undefined;
  std::string message;
  if (!u.hint.empty())
    message = u.hint;
  else if (u.object.missing())
    message = cat(repr(u.name), " is undefined");
  else if (!u.name.is_string())
    message = cat(object_name(u.object), " has no element ", repr(u.name));
  else
    message = cat("'", object_name(u.object), "' has no attribute ", repr(u.name));
  fail(u.kind, message);
}

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

Arguments Machine::arguments(const CallSyntax& syntax) {
  std::vector<Value> more;
  Arguments out;
  auto* positional = arena_.array<Value>(syntax.positional.size());
  for (size_t i = 0; i < syntax.positional.size(); ++i)
    positional[i] = evaluate(*syntax.positional[i]);
  out.positional = {positional, syntax.positional.size()};
  if (syntax.more_positional) {
    more.assign(positional, positional + out.positional.size());
    const List& items = iterate(evaluate(*syntax.more_positional));
    more.insert(more.end(), items.begin(), items.end());
    const List& all = *list(more).list;
    out.positional = {all.items, all.size};
  }
  if (syntax.named.empty() && !syntax.more_named) return out;
  std::vector<NamedValue> named;
  for (const auto& [name, value] : syntax.named) named.push_back({name, evaluate(*value)});
  if (syntax.more_named) {
    const Value v = evaluate(*syntax.more_named);
    if (!v.is(Kind::kDict)) type_error("argument after ** must be a mapping");
    for (const Entry& entry : *v.dict) {
      if (!entry.key.is_string()) type_error("keywords must be strings");
      for (const NamedValue& n : named)
        if (n.name == entry.key.text())
          type_error(cat("got multiple values for keyword argument '", n.name, "'"));
      named.push_back({entry.key.text(), entry.value});
    }
  }
  auto* all = arena_.array<NamedValue>(named.size());
  std::copy(named.begin(), named.end(), all);
  out.named = {all, named.size()};
  return out;
}

Value Machine::call(const Expression& e) {
  const Expression& callee = *e.items[0];
  if (callee.kind == ExpressionKind::kAttribute) {  // mostly a method: called as it is found
    const Value object = evaluate(*callee.items[0]);
    bool unsafe = false;
    const Routine* method = find_method(object, callee.text, unsafe);
    if (method != nullptr && !object.is(Kind::kLoop)) {
      const Arguments given = arguments(e.call);
      line_ = e.line;
      return method->run(*this, object, given);
    }
    line_ = callee.line;
    const Value function = attribute(object, callee.text);
    const Arguments given = arguments(e.call);
    line_ = e.line;
    return call(function, given);
  }
  const Value function = evaluate(callee);
  const Arguments given = arguments(e.call);
  line_ = e.line;
  return call(function, given);
}

Value Machine::call(const Value& callee, const Arguments& given) {
  step();
  switch (callee.kind) {
    case Kind::kFunction:
      return callee.function->run(*this, callee.function->self, given);
    case Kind::kMacro:
      return call_macro(*callee.macro, given);
    case Kind::kUndefined:
      fail_undefined(callee);
    case Kind::kLoop:
      return loop_again(*callee.loop, Bound(given, "loop", {"iterable"}, 1)[0]);
    case Kind::kObject:
      if (!callee.object->cycler) {  // a joiner: nothing the first time
        if (callee.object->at++ == 0) return Value("");
        return callee.object->items->items[0];
      }
      [[fallthrough]];
    default:
      type_error(cat("'", type_name(callee), "' object is not callable"));
  }
}

Value Machine::call_routine(const Expression& e) {
  const Value v = e.items[0] ? evaluate(*e.items[0]) : hole_;
  if (e.routine == nullptr)
    fail("TemplateRuntimeError", cat("No ", e.kind == ExpressionKind::kFilter ? "filter" : "test",
                                     " named '", e.text, "' found."));
  const Arguments given = arguments(e.call);
  line_ = e.line;
  return e.routine->run(*this, v, given);
}

Value Machine::filter(std::string_view name, const Value& v, const Arguments& given) {
  const Routine* routine = find_filter(name);
  if (routine == nullptr) fail("TemplateRuntimeError", cat("No filter named '", name, "'."));
  step();
  return routine->run(*this, v, given);
}

bool Machine::test(std::string_view name, const Value& v, const Arguments& given) {
  const Routine* routine = find_test(name);
  if (routine == nullptr) fail("TemplateRuntimeError", cat("No test named '", name, "'."));
  step();
  return truth(routine->run(*this, v, given));
}

}  // namespace nibble::jinja
