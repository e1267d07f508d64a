// SPDX-License-Identifier: Apache-2.0
// Values made in a rendering, and arguments by the names of parameters.
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

}  // namespace nibble::jinja
