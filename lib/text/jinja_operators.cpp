// SPDX-License-Identifier: Apache-2.0
// Python's operators on values.
#include <algorithm>
#include <cmath>

#include "text/jinja_machine.h"

namespace nibble::jinja {
namespace {

std::string_view symbol(Operator op) {
  constexpr std::string_view kSymbols[] = {"+",  "-", "*",  "/", "//", "%",  "** or pow()", "==",
                                           "!=", "<", "<=", ">", ">=", "in", "not in"};
  return kSymbols[static_cast<size_t>(op)];
}

// `out` is where the overflowing operation has put its result.
int64_t checked(bool overflow, const int64_t& out) {
  if (overflow) fail("OverflowError", "an integer is beyond 64 bits");
  return out;
}

int64_t floor_divide(int64_t a, int64_t b) {
  if (b == -1) {
    int64_t out = 0;
    return checked(__builtin_sub_overflow(int64_t{0}, a, &out), out);
  }
  const int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

int64_t modulo(int64_t a, int64_t b) {
  if (b == -1) return 0;
  const int64_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

double modulo(double a, double b) {
  double rest = std::fmod(a, b);
  if (rest == 0) return std::copysign(0.0, b);
  if ((rest < 0) != (b < 0)) rest += b;
  return rest;
}

double floor_divide(double a, double b) {
  const double quotient = (a - modulo(a, b)) / b;
  return quotient == 0 ? std::copysign(0.0, a / b) : std::round(quotient);
}

Value power(const Value& a, const Value& b) {
  if (a.is_integer() && b.is_integer() && b.as_integer() >= 0) {
    int64_t out = 1, base = a.as_integer();
    for (int64_t n = b.as_integer(); n > 0; n >>= 1) {
      if (n & 1) checked(__builtin_mul_overflow(out, base, &out), out);
      if (n > 1) checked(__builtin_mul_overflow(base, base, &base), base);
    }
    return out;
  }
  const double x = a.as_real(), y = b.as_real();
  if (x == 0 && y < 0) fail("ZeroDivisionError", "0.0 cannot be raised to a negative power");
  const double out = std::pow(x, y);
  if (std::isinf(out) && std::isfinite(x) && std::isfinite(y))
    fail("OverflowError", "(34, 'Numerical result out of range')");
  if (std::isnan(out) && !std::isnan(x) && !std::isnan(y))
    fail("ArithmeticError", "complex numbers are not supported");
  return out;
}

Value arithmetic(Operator op, const Value& a, const Value& b) {
  const bool whole = a.is_integer() && b.is_integer();
  const int64_t x = whole ? a.as_integer() : 0, y = whole ? b.as_integer() : 0;
  int64_t out = 0;
  switch (op) {
    case Operator::kAdd:
      if (whole) return checked(__builtin_add_overflow(x, y, &out), out);
      return a.as_real() + b.as_real();
    case Operator::kSubtract:
      if (whole) return checked(__builtin_sub_overflow(x, y, &out), out);
      return a.as_real() - b.as_real();
    case Operator::kMultiply:
      if (whole) return checked(__builtin_mul_overflow(x, y, &out), out);
      return a.as_real() * b.as_real();
    case Operator::kPower:
      return power(a, b);
    default:
      break;
  }
  if (b.as_real() == 0)
    fail("ZeroDivisionError",
         op == Operator::kDivide   ? whole ? "division by zero" : "float division by zero"
         : op == Operator::kModulo ? whole ? "integer modulo by zero" : "float modulo"
         : whole                   ? "integer division or modulo by zero"
                                   : "float floor division by zero");
  if (op == Operator::kDivide) return a.as_real() / b.as_real();
  if (op == Operator::kModulo)
    return whole ? Value(modulo(x, y)) : Value(modulo(a.as_real(), b.as_real()));
  return whole ? Value(floor_divide(x, y)) : Value(floor_divide(a.as_real(), b.as_real()));
}

bool is_sequence(const Value& v) {
  return v.is(Kind::kList) && v.list->kind <= ListKind::kTuple;
}

Value joined(Machine& m, const Value& a, const Value& b) {
  if (a.is_string()) {
    std::string out;
    out += a.markup || !b.markup ? std::string(a.text()) : escaped(a.text());
    out += b.markup || !a.markup ? std::string(b.text()) : escaped(b.text());
    m.step(out.size() / 64);
    Value v = m.text(out);
    v.markup = a.markup || b.markup;
    return v;
  }
  std::vector<Value> items(a.list->begin(), a.list->end());
  items.insert(items.end(), b.list->begin(), b.list->end());
  return m.list(items, a.list->kind);
}

Value repeated(Machine& m, const Value& v, int64_t count) {
  const size_t times = count > 0 ? static_cast<size_t>(count) : 0;
  const size_t size = v.is_string() ? v.size : v.list->size;
  if (size > 0 && times > kMaxMemory / size)
    fail("MemoryError", "the template takes too much memory");
  m.step(size * times / 8);
  if (v.is_string()) {
    std::string out;
    for (size_t i = 0; size > 0 && i < times; ++i) out += v.text();
    Value text = m.text(out);
    text.markup = v.markup;
    return text;
  }
  std::vector<Value> items;
  for (size_t i = 0; size > 0 && i < times; ++i)
    items.insert(items.end(), v.list->begin(), v.list->end());
  return m.list(items, v.list->kind);
}

bool holds(Operator op, int order) {
  switch (op) {
    case Operator::kLess:
      return order < 0;
    case Operator::kLessEqual:
      return order <= 0;
    case Operator::kGreater:
      return order > 0;
    default:
      return order >= 0;
  }
}

}  // namespace

Value Machine::binary(Operator op, const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return arithmetic(op, a, b);
  if (op == Operator::kModulo && a.is_string()) return text(percent_format(*this, a.text(), b));
  if (a.undefined_value()) fail_undefined(a);
  if (b.undefined_value()) fail_undefined(b);
  if (op == Operator::kAdd) {
    if (a.is_string() && b.is_string()) return joined(*this, a, b);
    if (is_sequence(a) && is_sequence(b) && a.list->kind == b.list->kind)
      return joined(*this, a, b);
    if ((a.is_string() && !a.markup) || is_sequence(a))
      type_error(cat("can only concatenate ", type_name(a), " (not \"", type_name(b), "\") to ",
                     type_name(a)));
  }
  if (op == Operator::kMultiply) {
    const bool left = a.is_string() || is_sequence(a), right = b.is_string() || is_sequence(b);
    if (left && b.is_integer()) return repeated(*this, a, b.as_integer());
    if (right && a.is_integer()) return repeated(*this, b, a.as_integer());
    if (left || right)
      type_error(cat("can't multiply sequence by non-int of type '", type_name(left ? b : a), "'"));
  }
  type_error(cat("unsupported operand type(s) for ", symbol(op), ": '", type_name(a), "' and '",
                 type_name(b), "'"));
}

bool Machine::compares(Operator op, const Value& a, const Value& b) {
  if (op == Operator::kEqual || op == Operator::kUnequal) {
    if (a.is(Kind::kList) || a.is(Kind::kDict)) step(length(a));
    return equal(a, b) == (op == Operator::kEqual);
  }
  if (op == Operator::kIn || op == Operator::kNotIn) return contains(b, a) == (op == Operator::kIn);
  if (a.undefined_value()) fail_undefined(a);
  if (b.undefined_value()) fail_undefined(b);
  if (a.is_number() && b.is_number() && (std::isnan(a.as_real()) || std::isnan(b.as_real())))
    return false;
  return holds(op, compare(a, b, symbol(op)));
}

bool Machine::contains(const Value& container, const Value& v) {
  if (container.is_string()) {
    if (!v.is_string())
      type_error(cat("'in <string>' requires string as left operand, not ", type_name(v)));
    step(container.size / 64);
    return container.text().find(v.text()) != std::string_view::npos;
  }
  if (container.is(Kind::kDict)) {
    check_hashable(v);
    step(container.dict->size / 8);
    return find(*container.dict, v) != nullptr;
  }
  const bool iterable = container.is(Kind::kList) || container.is(Kind::kIterator) ||
                        container.is(Kind::kLoop) || container.undefined_value();
  if (!iterable) type_error(cat("argument of type '", type_name(container), "' is not iterable"));
  if (container.is(Kind::kList) && container.list->kind == ListKind::kKeys) check_hashable(v);
  const List& items = iterate(container);
  step(items.size);
  return std::any_of(items.begin(), items.end(), [&](const Value& i) { return equal(i, v); });
}

}  // namespace nibble::jinja
