// SPDX-License-Identifier: Apache-2.0
// Python's "%5.2f" % x.
#include <cmath>

#include "text/jinja_format.h"
#include "text/jinja_machine.h"
#include "text/jinja_utf8.h"

namespace nibble::jinja {
namespace {

// The values of "%...", one after another or by name.
class Given {
 public:
  explicit Given(const Value& v) : v_(v) {
    tuple_ = v.is(Kind::kList) && v.list->kind == ListKind::kTuple;
  }
  Value next() {
    if (tuple_) {
      if (at_ >= v_.list->size) type_error("not enough arguments for format string");
      return v_.list->items[at_++];
    }
    if (at_++ > 0) type_error("not enough arguments for format string");
    return v_;
  }
  Value named(std::string_view name) {
    if (!v_.is(Kind::kDict)) type_error("format requires a mapping");
    const Entry* e = find(*v_.dict, name);
    if (e == nullptr) fail("KeyError", repr(Value(name)));
    by_name_ = true;
    return e->value;
  }
  void check_all_used() const {
    const bool left = tuple_
                          ? at_ < v_.list->size
                          : at_ == 0 && !by_name_ && !v_.is(Kind::kDict) && !v_.undefined_value() &&
                                !(v_.is(Kind::kList) && v_.list->kind == ListKind::kList);
    if (left) type_error("not all arguments converted during string formatting");
  }

 private:
  const Value& v_;
  bool tuple_ = false, by_name_ = false;
  size_t at_ = 0;
};

std::string percent_value(const Value& v, Spec spec) {
  const char type = spec.type;
  if (type == 's' || type == 'r' || type == 'a') {
    std::string text = type == 's' ? str(v) : repr(v);
    if (spec.precision >= 0) text = utf8::slice(text, 0, static_cast<size_t>(spec.precision));
    return padded(text, spec, spec.align == '<' ? '<' : '>');
  }
  if (type == 'c') {
    if (v.is_string() && utf8::length(v.text()) == 1)
      return padded(std::string(v.text()), spec, spec.align == '<' ? '<' : '>');
    type_error("%c requires int or char");
  }
  if (spec.align == '<') spec.zero = false;
  if (is_real_type(type)) {
    if (!v.is_number()) type_error(cat("must be real number, not ", type_name(v)));
    return format_real(v.as_real(), spec);
  }
  if (std::string_view("diuxXo").find(type) == std::string_view::npos)
    value_error(cat("unsupported format character '", type, "'"));
  const bool decimal = type == 'd' || type == 'i' || type == 'u';
  if (!v.is_integer() && !(decimal && v.is(Kind::kFloat)))
    type_error(cat("%", type, " format: ", decimal ? "a real number" : "an integer",
                   " is required, not ", type_name(v)));
  if (decimal) spec.type = 'd';
  if (!v.is_integer() && !(std::abs(v.real) < 0x1p63))
    fail("OverflowError", "an integer is beyond 64 bits");
  return format_integer(v.is_integer() ? v.as_integer() : static_cast<int64_t>(v.real), spec);
}

}  // namespace

std::string percent_format(Machine& m, std::string_view format, const Value& v) {
  Given given(v);
  std::string out;
  for (size_t at = 0; at < format.size();) {
    if (format[at] != '%') {
      out += format[at++];
      continue;
    }
    m.step();
    ++at;
    Spec spec;
    Value named(Kind::kMissing);
    if (at < format.size() && format[at] == '(') {
      const size_t close = format.find(')', at);
      if (close == std::string_view::npos) value_error("incomplete format key");
      named = given.named(format.substr(at + 1, close - at - 1));
      at = close + 1;
    }
    for (; at < format.size(); ++at) {
      const char c = format[at];
      if (c == '-')
        spec.align = '<';
      else if (c == '+' || (c == ' ' && spec.sign == 0))
        spec.sign = c;
      else if (c == '0')
        spec.zero = true;
      else if (c == '#')
        spec.alternate = true;
      else
        break;
    }
    const auto number = [&]() -> int64_t {
      if (at >= format.size() || format[at] != '*') return read_number(format, at);
      ++at;
      const Value n = given.next();
      if (!n.is_integer()) type_error("* wants int");
      check_width(n.as_integer());
      return n.as_integer();
    };
    spec.width = number();
    if (at < format.size() && format[at] == '.') {
      ++at;
      spec.precision = number();
    }
    if (at >= format.size()) value_error("incomplete format");
    spec.type = format[at++];
    if (spec.type == '%')
      out += '%';
    else
      out += percent_value(named.missing() ? given.next() : named, spec);
    if (out.size() > kMaxOutput) fail("MemoryError", "the template takes too much memory");
  }
  given.check_all_used();
  return out;
}

}  // namespace nibble::jinja
