// SPDX-License-Identifier: Apache-2.0
// Statements, and what a rendering begins with.
#include <algorithm>
#include <unordered_map>

#include "text/jinja_machine.h"

namespace nibble::jinja {
namespace {

// Objects with more members than this are searched by hash for names given twice.
constexpr size_t kFewMembers = 16;

}  // namespace

// One level of statements, expressions and calls in one another.
class Machine::Deeper {
 public:
  explicit Deeper(Machine& m) : m_(m) {
    if (++m_.depth_ > kMaxDepth) {
      --m_.depth_;
      fail("RecursionError", "maximum recursion depth exceeded");
    }
  }
  ~Deeper() { --m_.depth_; }
  Deeper(const Deeper&) = delete;
  Deeper& operator=(const Deeper&) = delete;

 private:
  Machine& m_;
};

// Output goes to a text of its own while this lives.
class Machine::Capture {
 public:
  explicit Capture(Machine& m) : m_(m), outer_(m.out_) { m_.out_ = &text; }
  ~Capture() { m_.out_ = outer_; }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  std::string text;

 private:
  Machine& m_;
  std::string* outer_;
};

// Variables are set in a scope while this lives.
class Machine::Inside {
 public:
  Inside(Machine& m, Scope* scope) : m_(m), outer_(m.scope_) { m_.scope_ = scope; }
  ~Inside() { m_.scope_ = outer_; }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  Machine& m_;
  Scope* outer_;
};

Machine::Machine(const Program& program, const RenderOptions& options, Arena& arena)
    : program_(program), options_(options), arena_(arena), loop_name_(program.find("loop")) {
  root_.assign(program.names.size(), Value(Kind::kMissing));
  globals_.assign(program.names.size(), Value(Kind::kMissing));
  for (size_t i = 0; i < program.names.size(); ++i)
    if (const Run known = find_global(program.names[i]))
      globals_[i] = function(program.names[i], known);
}

Rendered Machine::run(const Json& variables) {
  for (const auto& [name, json] : variables.as_object()) {
    const int id = program_.find(name);
    if (id < 0) continue;
    Value& v = root_[static_cast<size_t>(id)];
    v = from_json(json);
    if (name != options_.watch || !v.is(Kind::kList)) continue;
    for (size_t i = 0; i < v.list->size; ++i)
      if (v.list->items[i].is(Kind::kDict))
        v.list->items[i].dict->message = static_cast<int64_t>(i);
  }
  run(program_.body);
  return std::move(rendered_);
}

Value Machine::from_json(const Json& json) {
  step();
  if (json.is_null()) return Value(Kind::kNone);
  if (json.is_bool()) return Value(json.as_bool());
  if (json.is_integer()) return Value(json.as_integer());
  if (json.is_number()) return Value(json.as_number());
  if (json.is_string()) return Value(std::string_view(json.as_string()));
  if (json.is_object()) return from_object(json.as_object());
  const Json::Array& array = json.as_array();
  auto* items = arena_.array<Value>(array.size());
  for (size_t i = 0; i < array.size(); ++i) items[i] = from_json(array[i]);
  return arena_.make(List{items, array.size()});
}

// Of members with one name the last counts, at the place of the first.
Value Machine::from_object(const Json::Object& object) {
  Dict* out = dict(object.size());
  std::unordered_map<std::string_view, Entry*> many;
  for (const auto& [name, json] : object) {
    const Value v = from_json(json);
    Entry* known = nullptr;
    if (object.size() <= kFewMembers)
      known = find(*out, std::string_view(name));
    else if (const auto at = many.find(name); at != many.end())
      known = at->second;
    if (known) {
      known->value = v;
      continue;
    }
    Entry& entry = out->entries[out->size++];
    entry = {Value(std::string_view(name)), v};
    if (object.size() > kFewMembers) many.emplace(name, &entry);
  }
  return out;
}

void Machine::out_of_steps() {
  fail("TimeoutError", cat("the template takes more than ", kMaxSteps / 1'000'000,
                           " million steps; it may never end"));
}

void Machine::write(std::string_view text) {
  if (out_->size() + text.size() > kMaxOutput)
    fail("MemoryError", cat("the template writes more than ", kMaxOutput >> 20, " MiB"));
  *out_ += text;
}

Machine::Flow Machine::run(const Body& body) {
  const Deeper deeper(*this);
  for (const Statement& s : body)
    if (const Flow flow = run(s); flow != Flow::kOn) return flow;
  return Flow::kOn;
}

Machine::Flow Machine::run(const Statement& s) {
  step();
  line_ = s.line;
  switch (s.kind) {
    case StatementKind::kText:
      write(s.text);
      break;
    case StatementKind::kPrint: {
      const Value v = evaluate(*s.value);
      if (v.is_string())
        write(v.text());
      else
        write(str(v));
      break;
    }
    case StatementKind::kIf:
      return run_if(s);
    case StatementKind::kFor:
      run_for(s);
      break;
    case StatementKind::kSet:
      assign(*s.target, evaluate(*s.value));
      break;
    case StatementKind::kSetBlock:
      run_set_block(s);
      break;
    case StatementKind::kMacro:
      assign(s.name, Value(static_cast<const Macro*>(arena_.make(Macro{&s, scope_}))));
      break;
    case StatementKind::kCallBlock:
      run_call_block(s);
      break;
    case StatementKind::kFilterBlock:
      hole_ = text(captured(s.body));
      write(str(evaluate(*s.value)));
      break;
    case StatementKind::kWith:
      run_with(s);
      break;
    case StatementKind::kGeneration:
      run_generation(s);
      break;
    case StatementKind::kScope: {
      const Inside inside(*this, new_scope(scope_));
      return run(s.body);
    }
    case StatementKind::kBreak:
      return Flow::kBreak;
    case StatementKind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kOn;
}

Machine::Flow Machine::run_if(const Statement& s) {
  for (const auto& [test, body] : s.branches)
    if (truth(evaluate(*test))) return run(body);
  return run(s.otherwise);
}

void Machine::run_for(const Statement& s) {
  const List& items = iterate(evaluate(*s.value));
  loop_over(s, s.test ? filtered(s, items) : items, 1);
}

const List& Machine::filtered(const Statement& s, const List& items) {
  std::vector<Value> kept;
  for (const Value& item : items) {
    const Inside inside(*this, new_scope(scope_));
    assign(*s.target, item);
    if (truth(evaluate(*s.test))) kept.push_back(item);
  }
  return *list(kept).list;
}

void Machine::loop_over(const Statement& s, const List& items, int64_t depth) {
  Scope* const outer = scope_;
  if (items.size == 0) {
    const Inside inside(*this, new_scope(outer));
    run(s.otherwise);
    return;
  }
  Loop* loop = nullptr;
  if (loop_name_ >= 0) loop = arena_.make(Loop{&items, 0, depth, &s, outer});
  Scope* scope = new_scope(outer);
  for (size_t i = 0; i < items.size; ++i) {
    step();
    if (s.captures && i > 0) scope = new_scope(outer);
    scope->size = 0;
    const Inside inside(*this, scope);
    if (loop) {
      loop->at = i;
      assign(loop_name_, loop);
    }
    const Value& item = items.items[i];
    assign(*s.target, item);
    const bool watched = item.is(Kind::kDict) && item.dict->message >= 0 && out_ == &rendered_.text;
    const size_t begin = out_->size();
    const Flow flow = run(s.body);
    if (watched && out_->size() > begin)
      rendered_.messages.push_back(
          {static_cast<size_t>(item.dict->message), {begin, out_->size()}});
    if (flow == Flow::kBreak) return;
  }
}

std::string Machine::captured(const Body& body) {
  Capture capture(*this);
  const Inside inside(*this, new_scope(scope_));
  run(body);
  return std::move(capture.text);
}

void Machine::run_set_block(const Statement& s) {
  Value v = text(captured(s.body));
  if (s.value) {
    hole_ = v;
    v = evaluate(*s.value);
  }
  assign(*s.target, v);
}

void Machine::run_call_block(const Statement& s) {
  const Expression& e = *s.value;
  const Value callee = evaluate(*e.items[0]);
  Arguments given = arguments(e.call);
  auto* named = arena_.array<NamedValue>(given.named.size() + 1);
  std::copy(given.named.begin(), given.named.end(), named);
  named[given.named.size()] = {"caller",
                               Value(static_cast<const Macro*>(arena_.make(Macro{&s, scope_})))};
  given.named = {named, given.named.size() + 1};
  line_ = s.line;
  write(str(call(callee, given)));
}

void Machine::run_with(const Statement& s) {
  Scope* scope = new_scope(scope_);
  std::vector<Value> values;
  for (const auto& [target, value] : s.with) values.push_back(evaluate(*value));
  const Inside inside(*this, scope);
  for (size_t i = 0; i < values.size(); ++i) assign(*s.with[i].first, values[i]);
  run(s.body);
}

void Machine::run_generation(const Statement& s) {
  const Inside inside(*this, new_scope(scope_));
  const size_t begin = out_->size();
  run(s.body);
  if (out_ == &rendered_.text)
    rendered_.generation.push_back({begin, out_->size()});
  else
    rendered_.generation_lost = true;
}

Value Machine::loop_again(Loop& loop, const Value& items) {
  if (!loop.statement->recursive)
    type_error("The loop must have the 'recursive' marker to be called recursively.");
  Capture capture(*this);
  const Inside inside(*this, loop.scope);
  const Deeper deeper(*this);
  const List& all = iterate(items);
  loop_over(*loop.statement, loop.statement->test ? filtered(*loop.statement, all) : all,
            loop.depth + 1);
  return text(capture.text);
}

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
