// SPDX-License-Identifier: Apache-2.0
// One rendering of a template: walks its tree over variables, within the bounds of text/jinja.h.
// Filters, tests, methods and functions (jinja_*.cpp) work through it.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja.h"
#include "text/jinja_syntax.h"
#include "text/jinja_value.h"

namespace nibble::jinja {

struct NamedValue {
  std::string_view name;
  Value value;
};

struct Arguments {
  std::span<const Value> positional;
  std::span<const NamedValue> named;
};

/// Arguments by the names of parameters. Throws TypeError where one is unknown, given twice or,
/// among the first `required`, missing.
class Bound {
 public:
  Bound(const Arguments& arguments, std::string_view function,
        std::initializer_list<std::string_view> names, size_t required = 0);
  const Value& operator[](size_t i) const { return values_[i]; }
  bool has(size_t i) const { return !values_[i].missing(); }
  bool flag(size_t i) const { return has(i) && truth(values_[i]); }
  /// None is as good as not given.
  int64_t integer(size_t i, int64_t otherwise) const;
  std::string_view text(size_t i, std::string_view otherwise) const;
  Value value(size_t i, Value otherwise) const { return has(i) ? values_[i] : otherwise; }

 private:
  static constexpr size_t kMost = 6;
  Value values_[kMost];
};

struct Binding {
  int name;
  Value value;
};

/// Variables of a loop, a macro or a block; those of the template itself are Machine::root_.
struct Scope {
  Scope* parent = nullptr;
  Binding* bindings = nullptr;
  uint32_t size = 0, capacity = 0;
};

class Machine {
 public:
  Machine(const Program& program, const RenderOptions& options, Arena& arena);
  /// Throws Fault; line() says where.
  Rendered run(const Json& variables);
  int line() const { return line_; }

  // For those who make values.
  void step(size_t count = 1) {
    steps_ += count;
    if (steps_ > kMaxSteps) out_of_steps();
  }
  Arena& arena() { return arena_; }
  Value text(std::string_view copied) { return Value(arena_.copy(copied)); }
  Value list(std::span<const Value> items, ListKind kind = ListKind::kList);
  Value pair(const Value& first, const Value& second);
  Value iterator(std::span<const Value> items);
  Dict* dict(size_t capacity);
  void set(Dict& dict, const Value& key, const Value& value);
  Value undefined(std::string_view hint, const char* kind = "UndefinedError");
  Value undefined(const Value& object, const Value& name);
  Value function(std::string_view name, Run code, const Value& self = Value(Kind::kMissing));
  std::time_t now() const { return options_.now; }

  // What expressions do.
  /// The items of what can be iterated; a generator's are taken.
  const List& iterate(const Value& v);
  size_t length(const Value& v);
  Value attribute(const Value& object, std::string_view name);
  Value item(const Value& object, const Value& key);
  Value call(const Value& callee, const Arguments& arguments);
  Value binary(Operator op, const Value& a, const Value& b);
  bool compares(Operator op, const Value& a, const Value& b);
  bool contains(const Value& container, const Value& v);
  Value filter(std::string_view name, const Value& v, const Arguments& arguments);
  bool test(std::string_view name, const Value& v, const Arguments& arguments);
  Value loop_again(Loop& loop, const Value& items);

 private:
  enum class Flow : uint8_t { kOn, kBreak, kContinue };
  class Deeper;
  class Capture;
  class Inside;

  // jinja_run.cpp
  Value from_json(const Json& json);
  Value from_object(const Json::Object& object);
  [[noreturn]] void out_of_steps();
  void write(std::string_view text);
  Flow run(const Body& body);
  Flow run(const Statement& s);
  Flow run_if(const Statement& s);
  void run_for(const Statement& s);
  void loop_over(const Statement& s, const List& items, int64_t depth);
  const List& filtered(const Statement& s, const List& items);
  void run_set_block(const Statement& s);
  void run_call_block(const Statement& s);
  void run_with(const Statement& s);
  void run_generation(const Statement& s);
  std::string captured(const Body& body);
  Value call_macro(const Macro& macro, const Arguments& arguments);
  void bind_macro(const Statement& s, const Arguments& arguments);
  void assign(const Expression& target, const Value& v);
  void assign(int name, const Value& v);
  Scope* new_scope(Scope* parent);

  // jinja_evaluate.cpp
  Value evaluate(const Expression& e);
  Value evaluate_at(const Expression& e);
  Value lookup(int name);
  Value subscript(const Expression& e);
  Value slice(const Expression& e);
  Value call(const Expression& e);
  Value call_routine(const Expression& e);
  Value comparison(const Expression& e);
  Value concatenation(const Expression& e);
  Value collection(const Expression& e);
  Arguments arguments(const CallSyntax& call);

  const Program& program_;
  const RenderOptions& options_;
  Arena& arena_;
  Rendered rendered_;
  std::string* out_ = &rendered_.text;
  std::vector<Value> root_, globals_;
  Scope* scope_ = nullptr;  // null: the template's own
  Value hole_;              // what a filter block's filters work on
  uint64_t steps_ = 0;
  int depth_ = 0, line_ = 1, loop_name_ = -1;
};

/// A function that templates can call, by name: "range"; null where there is none.
Run find_global(std::string_view name);
/// A method of such a value, or null. `unsafe` is set where Python has it and the sandbox refuses
/// it.
const Routine* find_method(const Value& object, std::string_view name, bool& unsafe);

/// Python's "%s" % value and "{}".format(...).
std::string percent_format(Machine& m, std::string_view format, const Value& v);
std::string brace_format(Machine& m, std::string_view format, const Arguments& arguments);

}  // namespace nibble::jinja
