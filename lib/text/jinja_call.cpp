// SPDX-License-Identifier: Apache-2.0
// Calls: of functions, methods and macros, filters and tests.
#include <algorithm>

#include "text/jinja_machine.h"

namespace nibble::jinja {

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
