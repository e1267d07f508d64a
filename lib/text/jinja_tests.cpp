// SPDX-License-Identifier: Apache-2.0
// Tests: what stands after "is".
#include "text/jinja_methods.h"

namespace nibble::jinja {
namespace {

bool is_callable(const Value& v) {
  return v.is(Kind::kFunction) || v.is(Kind::kMacro) || v.is(Kind::kLoop) ||
         (v.is(Kind::kObject) && !v.object->cycler) || v.undefined_value();
}

bool is_iterable(const Value& v) {
  switch (v.kind) {
    case Kind::kUndefined:
    case Kind::kString:
    case Kind::kList:
    case Kind::kDict:
    case Kind::kIterator:
    case Kind::kLoop:
      return true;
    default:
      return false;
  }
}

// What has a length and can be subscribed.
bool is_sequence(const Value& v) {
  return v.is_string() || v.is(Kind::kDict) || v.undefined_value() ||
         (v.is(Kind::kList) && v.list->kind <= ListKind::kRange);
}

Value leaves(Machine& m, const Value& v, const Value& by, int64_t rest) {
  return equal(m.binary(Operator::kModulo, v, by), Value(rest));
}

bool same(const Value& a, const Value& b) {
  if (a.kind != b.kind) return false;
  if (a.is_string()) return a.text() == b.text();
  if (a.is(Kind::kBool)) return a.boolean == b.boolean;
  return a.none() || a.integer == b.integer;
}

template <Operator kOp>
Value compares(Machine& m, const Value& v, const Arguments& a) {
  return m.compares(kOp, v, Bound(a, "test", {"other"}, 1)[0]);
}

template <bool (*kHolds)(const Value&)>
Value plain(Machine&, const Value& v, const Arguments& a) {
  const Bound b(a, "test", {});
  return kHolds(v);
}

#define NIBBLE_TEST(NAME, HOLDS)                              \
  {                                                           \
    NAME, plain<[](const Value& v) -> bool { return HOLDS; }> \
  }

constexpr Routine kTests[] = {
    NIBBLE_TEST("defined", !v.undefined_value()),
    NIBBLE_TEST("undefined", v.undefined_value()),
    NIBBLE_TEST("none", v.none()),
    NIBBLE_TEST("boolean", v.is(Kind::kBool)),
    NIBBLE_TEST("true", v.is(Kind::kBool) && v.boolean),
    NIBBLE_TEST("false", v.is(Kind::kBool) && !v.boolean),
    NIBBLE_TEST("integer", v.is(Kind::kInt)),
    NIBBLE_TEST("float", v.is(Kind::kFloat)),
    NIBBLE_TEST("number", v.is_number()),
    NIBBLE_TEST("string", v.is_string()),
    NIBBLE_TEST("mapping", v.is(Kind::kDict)),
    NIBBLE_TEST("sequence", is_sequence(v)),
    NIBBLE_TEST("iterable", is_iterable(v)),
    NIBBLE_TEST("callable", is_callable(v)),
    NIBBLE_TEST("escaped", v.is_string() && v.markup),
    NIBBLE_TEST("lower", is_lower_text(str(v))),
    NIBBLE_TEST("upper", is_upper_text(str(v))),
    NIBBLE_TEST("filter", v.is_string() && find_filter(v.text()) != nullptr),
    NIBBLE_TEST("test", v.is_string() && find_test(v.text()) != nullptr),
    {"odd",
     [](Machine& m, const Value& v, const Arguments&) -> Value {
       return leaves(m, v, Value(int64_t{2}), 1);
     }},
    {"even",
     [](Machine& m, const Value& v, const Arguments&) -> Value {
       return leaves(m, v, Value(int64_t{2}), 0);
     }},
    {"divisibleby",
     [](Machine& m, const Value& v, const Arguments& a) -> Value {
       return leaves(m, v, Bound(a, "divisibleby", {"num"}, 1)[0], 0);
     }},
    {"sameas",
     [](Machine&, const Value& v, const Arguments& a) -> Value {
       return same(v, Bound(a, "sameas", {"other"}, 1)[0]);
     }},
    {"in",
     [](Machine& m, const Value& v, const Arguments& a) -> Value {
       return m.contains(Bound(a, "in", {"seq"}, 1)[0], v);
     }},
    {"==", compares<Operator::kEqual>},
    {"eq", compares<Operator::kEqual>},
    {"equalto", compares<Operator::kEqual>},
    {"!=", compares<Operator::kUnequal>},
    {"ne", compares<Operator::kUnequal>},
    {">", compares<Operator::kGreater>},
    {"gt", compares<Operator::kGreater>},
    {"greaterthan", compares<Operator::kGreater>},
    {">=", compares<Operator::kGreaterEqual>},
    {"ge", compares<Operator::kGreaterEqual>},
    {"<", compares<Operator::kLess>},
    {"lt", compares<Operator::kLess>},
    {"lessthan", compares<Operator::kLess>},
    {"<=", compares<Operator::kLessEqual>},
    {"le", compares<Operator::kLessEqual>},
};
#undef NIBBLE_TEST

}  // namespace

const Routine* find_test(std::string_view name) {
  for (const Routine& r : kTests)
    if (r.name == name) return &r;
  return nullptr;
}

}  // namespace nibble::jinja
