// SPDX-License-Identifier: Apache-2.0
// Statements.
#include <algorithm>

#include "text/jinja_guards.h"

namespace nibble::jinja {

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

}  // namespace nibble::jinja
