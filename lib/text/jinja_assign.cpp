// SPDX-License-Identifier: Apache-2.0
// Macros' arguments, scopes and assignments.
#include <algorithm>

#include "text/jinja_guards.h"

namespace nibble::jinja {

Value Machine::call_macro(const Macro& macro, const Arguments& given) {
  const Deeper deeper(*this);
  const int line = line_;
  Capture capture(*this);
  const Inside inside(*this, new_scope(macro.scope));
  bind_macro(*macro.statement, given);
  run(macro.statement->body);
  line_ = line;
  return text(capture.text);
}

void Machine::bind_macro(const Statement& s, const Arguments& given) {
  const std::string name = s.kind == StatementKind::kMacro ? s.text : "caller";
  const size_t count = s.parameters.size(), positional = given.positional.size();
  std::vector<NamedValue> rest(given.named.begin(), given.named.end());
  for (size_t i = 0; i < count; ++i) {
    const Parameter& p = s.parameters[i];
    if (i < positional) {
      assign(p.name, given.positional[i]);
      continue;
    }
    const auto at = std::find_if(rest.begin(), rest.end(),
                                 [&](const NamedValue& n) { return n.name == p.text; });
    if (at != rest.end()) {
      assign(p.name, at->value);
      rest.erase(at);
    } else if (p.otherwise) {
      assign(p.name, evaluate(*p.otherwise));
    } else {
      assign(p.name, undefined(arena_.copy(cat("parameter '", p.text, "' was not provided"))));
    }
  }
  const auto caller = std::find_if(rest.begin(), rest.end(),
                                   [](const NamedValue& n) { return n.name == "caller"; });
  if (s.uses_caller) {
    assign(program_.find("caller"),
           caller != rest.end() ? caller->value : undefined("No caller defined"));
    if (caller != rest.end()) rest.erase(caller);
  }
  if (s.uses_kwargs) {
    Dict* all = dict(rest.size());
    for (const NamedValue& n : rest) set(*all, Value(n.name), n.value);
    assign(program_.find("kwargs"), all);
  } else if (!rest.empty()) {
    type_error(cat("macro '", name, "' takes no keyword argument '", rest.front().name, "'"));
  }
  if (s.uses_varargs)
    assign(program_.find("varargs"),
           list(given.positional.subspan(std::min(count, positional)), ListKind::kTuple));
  else if (positional > count)
    type_error(cat("macro '", name, "' takes not more than ", count, " argument(s)"));
}

Scope* Machine::new_scope(Scope* parent) {
  constexpr uint32_t kBindings = 4;
  return arena_.make(Scope{parent, arena_.array<Binding>(kBindings), 0, kBindings});
}

void Machine::assign(int name, const Value& v) {
  if (scope_ == nullptr) {
    root_[static_cast<size_t>(name)] = v;
    return;
  }
  Scope& s = *scope_;
  for (uint32_t i = 0; i < s.size; ++i)
    if (s.bindings[i].name == name) {
      s.bindings[i].value = v;
      return;
    }
  if (s.size == s.capacity) {
    auto* more = arena_.array<Binding>(size_t{2} * s.capacity);
    std::copy(s.bindings, s.bindings + s.size, more);
    s.bindings = more;
    s.capacity *= 2;
  }
  s.bindings[s.size++] = {name, v};
}

void Machine::assign(const Expression& target, const Value& v) {
  if (target.kind == ExpressionKind::kName) return assign(target.name, v);
  if (target.kind == ExpressionKind::kField) {
    const Value space = lookup(target.name);
    if (!space.is(Kind::kNamespace))
      fail("TemplateRuntimeError", "cannot assign attribute on non-namespace object");
    if (target.text.starts_with('_'))
      fail(
          "SecurityError",
          cat("Chat templates cannot store underscore-prefixed attributes on a namespace, but got ",
              repr(Value(std::string_view(target.text))), ". Please rename the attribute."));
    set(*space.dict, Value(std::string_view(target.text)), v);
    return;
  }
  const bool iterable = v.is_string() || v.is(Kind::kList) || v.is(Kind::kDict) ||
                        v.is(Kind::kIterator) || v.undefined_value() || v.is(Kind::kLoop);
  if (!iterable) type_error(cat("cannot unpack non-iterable ", type_name(v), " object"));
  const List& items = iterate(v);
  const size_t want = target.items.size();
  if (items.size < want)
    value_error(cat("not enough values to unpack (expected ", want, ", got ", items.size, ")"));
  if (items.size > want) value_error(cat("too many values to unpack (expected ", want, ")"));
  for (size_t i = 0; i < want; ++i) assign(*target.items[i], items.items[i]);
}

}  // namespace nibble::jinja
