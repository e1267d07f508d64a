// SPDX-License-Identifier: Apache-2.0
// A parsed template: statements and expressions as a tree.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "text/jinja_value.h"

namespace nibble::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

/// A filter or a test, by name.
struct Routine {
  std::string_view name;
  Run run;
};
const Routine* find_filter(std::string_view name);
const Routine* find_test(std::string_view name);

enum class ExpressionKind : uint8_t {
  kConstant,   // value
  kName,       // name
  kField,      // a namespace's: name, text (only assigned to)
  kAttribute,  // items[0].text
  kItem,       // items[0][items[1]]
  kSlice,      // items[0][items[1]:items[2]:items[3]], bounds may be null
  kCall,       // items[0](call)
  kFilter,     // items[0] | routine(call); items[0] is null in filter and set blocks
  kTest,       // items[0] is routine(call)
  kNot,
  kMinus,
  kPlus,
  kAnd,
  kOr,
  kBinary,      // items[0] op items[1]: + - * / // % **
  kComparison,  // items[0] ops[0] items[1] ops[1] items[2] ...
  kConcat,      // items[0] ~ items[1] ~ ...
  kCondition,   // items[0] if items[1] else items[2], which may be null
  kTuple,
  kList,
  kDict,  // items: key, value, key, value
};

enum class Operator : uint8_t {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
  kEqual,
  kUnequal,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn,
};

struct CallSyntax {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  ExpressionPtr more_positional, more_named;  // *x, **x
};

struct Expression {
  ExpressionKind kind = ExpressionKind::kConstant;
  int line = 1, height = 1;
  Operator op = Operator::kAdd;
  int name = -1;
  std::string text;  // of a string constant too
  Value value;
  const Routine* routine = nullptr;
  std::vector<ExpressionPtr> items;
  std::vector<Operator> ops;
  CallSyntax call;
};

enum class StatementKind : uint8_t {
  kText,
  kPrint,
  kIf,
  kFor,
  kSet,
  kSetBlock,
  kMacro,
  kCallBlock,
  kFilterBlock,
  kWith,
  kGeneration,
  kScope,
  kBreak,
  kContinue,
};

struct Statement;
using Body = std::vector<Statement>;

struct Parameter {
  int name;
  std::string text;
  ExpressionPtr otherwise;  // may be null
};

struct Statement {
  StatementKind kind = StatementKind::kText;
  int line = 1;
  std::string text;
  ExpressionPtr target, value, test;
  std::vector<std::pair<ExpressionPtr, Body>> branches;       // of if and elif
  std::vector<std::pair<ExpressionPtr, ExpressionPtr>> with;  // targets and values
  Body body, otherwise;
  bool recursive = false;
  bool captures = false;  // macros in a loop's body keep its variables alive
  // Of macros and call blocks.
  int name = -1;
  std::vector<Parameter> parameters;
  bool uses_caller = false, uses_kwargs = false, uses_varargs = false;
};

class Program {
 public:
  std::string source;
  Body body;
  std::vector<std::string> names;
  std::unordered_map<std::string, int> ids;
  bool generation = false;

  int id(const std::string& name) {
    const auto [at, added] = ids.emplace(name, static_cast<int>(names.size()));
    if (added) names.push_back(name);
    return at->second;
  }
  int find(std::string_view name) const {
    const auto at = ids.find(std::string(name));
    return at == ids.end() ? -1 : at->second;
  }
};

/// Throws SyntaxFault.
std::unique_ptr<Program> parse_program(std::string_view source);

}  // namespace nibble::jinja
