// SPDX-License-Identifier: Apache-2.0
// Iteration, length, attributes, items and slices, as Python has them.
#include <algorithm>

#include "text/jinja_machine.h"
#include "text/jinja_utf8.h"

namespace nibble::jinja {
namespace {

// Python's slice.indices: where to begin, and how many items.
struct Steps {
  int64_t start = 0, stop = 0, step = 1, count = 0;
};
Steps slice_steps(const Value& from, const Value& to, const Value& by, int64_t size) {
  const auto integer = [](const Value& v) {
    if (!v.is_integer())
      type_error("slice indices must be integers or None or have an __index__ method");
    return v.as_integer();
  };
  Steps s;
  s.step = by.none() ? 1 : integer(by);
  if (s.step == 0) value_error("slice step cannot be zero");
  s.step = std::clamp<int64_t>(s.step, -INT64_MAX, INT64_MAX);
  const int64_t low = s.step > 0 ? 0 : -1, high = s.step > 0 ? size : size - 1;
  const auto bound = [&](const Value& v, int64_t otherwise) {
    if (v.none()) return otherwise;
    int64_t i = integer(v);
    if (i < 0) i += size;
    return std::clamp(i, low, high);
  };
  s.start = bound(from, s.step > 0 ? low : high);
  s.stop = bound(to, s.step > 0 ? high : low);
  const int64_t span = s.step > 0 ? s.stop - s.start : s.start - s.stop;
  if (span > 0) s.count = (span - 1) / std::abs(s.step) + 1;
  return s;
}

}  // namespace

const List& Machine::iterate(const Value& v) {
  static const List kEmpty;
  switch (v.kind) {
    case Kind::kList:
      return *v.list;
    case Kind::kIterator: {
      Iterator& it = *v.iterator;
      const List* rest = arena_.make(List{it.items->items + it.at, it.items->size - it.at});
      it.at = it.items->size;
      return *rest;
    }
    case Kind::kDict: {
      auto* keys = arena_.array<Value>(v.dict->size);
      step(v.dict->size);
      std::transform(v.dict->begin(), v.dict->end(), keys, [](const Entry& e) { return e.key; });
      return *arena_.make(List{keys, v.dict->size});
    }
    case Kind::kString: {
      std::vector<Value> characters;
      for (size_t at = 0; at < v.size;) {
        const size_t size = utf8::size_at(v.text(), at);
        characters.emplace_back(v.text().substr(at, size));
        at += size;
      }
      return *list(characters).list;
    }
    case Kind::kLoop:
      return *v.loop->items;
    case Kind::kUndefined:
      return kEmpty;
    default:
      type_error(cat("'", type_name(v), "' object is not iterable"));
  }
}

size_t Machine::length(const Value& v) {
  switch (v.kind) {
    case Kind::kString:
      step(v.size / 64);
      return utf8::length(v.text());
    case Kind::kList:
      return v.list->size;
    case Kind::kDict:
      return v.dict->size;
    case Kind::kLoop:
      return v.loop->items->size;
    case Kind::kUndefined:
      return 0;
    default:
      type_error(cat("object of type '", type_name(v), "' has no len()"));
  }
}

// obj.name: methods before items.
Value Machine::attribute(const Value& object, std::string_view name) {
  if (object.undefined_value()) fail_undefined(object);
  if (object.is(Kind::kNamespace)) {
    if (const Entry* e = find(*object.dict, name)) return e->value;
    return undefined(object, text(name));
  }
  bool unsafe = false;
  if (const Routine* method = find_method(object, name, unsafe)) {
    if (object.is(Kind::kLoop)) return method->run(*this, object, {});
    return function(method->name, method->run, object);
  }
  if (unsafe)
    return undefined(arena_.copy(cat("access to attribute ", repr(Value(name)), " of '",
                                     type_name(object), "' object is unsafe.")),
                     "SecurityError");
  if (object.is(Kind::kObject) && object.object->cycler && name == "current")
    return object.object->items->items[object.object->at];
  if (object.is(Kind::kMacro) && name == "name")
    return Value(std::string_view(object.macro->statement->text));
  if (object.is(Kind::kDict)) {
    step(object.dict->size / 8);
    if (const Entry* e = find(*object.dict, name)) return e->value;
  }
  return undefined(object, Value(name));
}

// obj[key]: items before methods.
Value Machine::item(const Value& object, const Value& key) {
  if (object.undefined_value()) fail_undefined(object);
  if (object.is(Kind::kDict) && !(key.is(Kind::kList) || key.is(Kind::kDict))) {
    step(object.dict->size / 8);
    if (const Entry* e = find(*object.dict, key)) return e->value;
  } else if (key.is_integer() && (object.is_string() || (object.is(Kind::kList) &&
                                                         object.list->kind <= ListKind::kRange))) {
    const auto size = static_cast<int64_t>(length(object));
    int64_t i = key.as_integer();
    if (i < 0) i += size;
    if (i >= 0 && i < size) {
      if (object.is(Kind::kList)) return object.list->items[i];
      return Value(utf8::slice(object.text(), static_cast<size_t>(i), 1));
    }
  }
  if (!key.is_string()) return undefined(object, key);
  if (object.is(Kind::kDict)) {
    bool unsafe = false;
    if (find_method(object, key.text(), unsafe) == nullptr && !unsafe)
      return undefined(object, key);
  }
  return attribute(object, key.text());
}

Value Machine::slice(const Expression& e) {
  const Value object = evaluate(*e.items[0]);
  Value bounds[3];
  for (size_t i = 0; i < 3; ++i)
    if (e.items[i + 1]) bounds[i] = evaluate(*e.items[i + 1]);
  line_ = e.line;
  if (object.undefined_value()) fail_undefined(object);
  if (object.is(Kind::kDict)) type_error("unhashable type: 'slice'");
  if (!object.is_string() && !(object.is(Kind::kList) && object.list->kind <= ListKind::kRange))
    type_error(cat("'", type_name(object), "' object is not subscriptable"));
  const auto size = static_cast<int64_t>(length(object));
  const Steps s = slice_steps(bounds[0], bounds[1], bounds[2], size);
  if (object.is(Kind::kList)) {
    if (s.step == 1 && object.list->kind != ListKind::kRange)
      return arena_.make(List{object.list->items + (s.count ? s.start : 0),
                              static_cast<size_t>(s.count), object.list->kind});
    std::vector<Value> items;
    for (int64_t i = 0; i < s.count; ++i) items.push_back(object.list->items[s.start + i * s.step]);
    const List& from = *object.list;
    const List& out = *list(items, from.kind).list;
    return arena_.make(List{out.items, out.size, from.kind, from.start + s.start * from.step,
                            from.start + s.stop * from.step, from.step * s.step});
  }
  if (s.step == 1) {
    Value v(utf8::slice(object.text(), static_cast<size_t>(s.start), static_cast<size_t>(s.count)));
    v.markup = object.markup;
    return v;
  }
  const List& characters = iterate(object);
  std::string out;
  for (int64_t i = 0; i < s.count; ++i) out += characters.items[s.start + i * s.step].text();
  return text(out);
}

}  // namespace nibble::jinja
