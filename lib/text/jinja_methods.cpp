// SPDX-License-Identifier: Apache-2.0
// Methods of lists, dicts, numbers and loops; which of them the sandbox refuses.
#include "text/jinja_methods.h"

#include <algorithm>
#include <cmath>

namespace nibble::jinja {
namespace {

template <ListKind kKind>
Value view(Machine& m, const Value& self, const Arguments& a) {
  const Bound b(a, "items", {});
  std::vector<Value> items;
  for (const Entry& e : *self.dict)
    items.push_back(kKind == ListKind::kKeys     ? e.key
                    : kKind == ListKind::kValues ? e.value
                                                 : m.pair(e.key, e.value));
  return m.list(items, kKind);
}

Value get(Machine& m, const Value& self, const Arguments& a) {
  const Bound b(a, "get", {"key", "default"}, 1);
  check_hashable(b[0]);
  m.step(self.dict->size / 8);
  const Entry* e = find(*self.dict, b[0]);
  return e != nullptr ? e->value : b.value(1, Value(Kind::kNone));
}

Value copy(Machine& m, const Value& self, const Arguments& a) {
  const Bound b(a, "copy", {});
  m.step();
  return self;  // neither changes
}

Value list_count(Machine& m, const Value& self, const Arguments& a) {
  const Bound b(a, "count", {"value"}, 1);
  m.step(self.list->size);
  return static_cast<int64_t>(std::count_if(self.list->begin(), self.list->end(),
                                            [&](const Value& v) { return equal(v, b[0]); }));
}

Value list_index(Machine& m, const Value& self, const Arguments& a) {
  const Bound b(a, "index", {"value"}, 1);
  m.step(self.list->size);
  const auto* const at = std::find_if(self.list->begin(), self.list->end(),
                                      [&](const Value& v) { return equal(v, b[0]); });
  if (at == self.list->end()) value_error(cat(repr(b[0]), " is not in list"));
  return static_cast<int64_t>(at - self.list->begin());
}

Value is_integer(Machine&, const Value& self, const Arguments& a) {
  const Bound b(a, "is_integer", {});
  return std::isfinite(self.real) && self.real == std::floor(self.real);
}

// Attributes of loops: not called, but what they are.
template <class Of>
Value about(const Value& self, Of of) {
  return of(*self.loop, static_cast<int64_t>(self.loop->at),
            static_cast<int64_t>(self.loop->items->size));
}
#define NIBBLE_LOOP(NAME, VALUE)                                                      \
  {                                                                                   \
    NAME, [](Machine&, const Value& self, const Arguments&) -> Value {                \
      return about(self,                                                              \
                   []([[maybe_unused]] const Loop& loop, [[maybe_unused]] int64_t at, \
                      [[maybe_unused]] int64_t size) -> Value { return VALUE; });     \
    }                                                                                 \
  }

Value loop_cycle(Machine&, const Value& self, const Arguments& a) {
  if (a.positional.empty()) type_error("no items for cycling given");
  return a.positional[self.loop->at % a.positional.size()];
}

Value loop_changed(Machine& m, const Value& self, const Arguments& a) {
  const Value now = m.list(a.positional, ListKind::kTuple);
  const bool changed = self.loop->changed.missing() || !equal(self.loop->changed, now);
  self.loop->changed = now;
  return changed;
}

// loop.NAME that is a function, as attribute() asks for it.
template <Run kRun>
Value bound_to_loop(Machine& m, const Value& self, const Arguments&) {
  return m.function("loop", kRun, self);
}

Value neighbour(Machine& m, const Value& self, bool next) {
  const Loop& loop = *self.loop;
  if (next ? loop.at + 1 < loop.items->size : loop.at > 0)
    return loop.items->items[next ? loop.at + 1 : loop.at - 1];
  return m.undefined(next ? "there is no next item" : "there is no previous item");
}

constexpr Routine kLoopAttributes[] = {
    NIBBLE_LOOP("index", at + 1),
    NIBBLE_LOOP("index0", at),
    NIBBLE_LOOP("first", at == 0),
    NIBBLE_LOOP("last", at + 1 == size),
    NIBBLE_LOOP("length", size),
    NIBBLE_LOOP("revindex", size - at),
    NIBBLE_LOOP("revindex0", size - at - 1),
    NIBBLE_LOOP("depth", loop.depth),
    NIBBLE_LOOP("depth0", loop.depth - 1),
    {"previtem",
     [](Machine& m, const Value& v, const Arguments&) { return neighbour(m, v, false); }},
    {"nextitem",
     [](Machine& m, const Value& v, const Arguments&) { return neighbour(m, v, true); }},
    {"cycle", bound_to_loop<loop_cycle>},
    {"changed", bound_to_loop<loop_changed>},
};
#undef NIBBLE_LOOP

constexpr Routine kDictMethods[] = {
    {"get", get},
    {"items", view<ListKind::kItems>},
    {"keys", view<ListKind::kKeys>},
    {"values", view<ListKind::kValues>},
    {"copy", copy},
};
constexpr Routine kListMethods[] = {{"index", list_index}, {"count", list_count}, {"copy", copy}};
constexpr Routine kFloatMethods[] = {{"is_integer", is_integer}};

Value cycler_next(Machine&, const Value& self, const Arguments&) {
  Object& o = *self.object;
  const Value v = o.items->items[o.at];
  o.at = (o.at + 1) % o.items->size;
  return v;
}
Value cycler_reset(Machine&, const Value& self, const Arguments&) {
  self.object->at = 0;
  return Value(Kind::kNone);
}
constexpr Routine kCyclerMethods[] = {{"next", cycler_next}, {"reset", cycler_reset}};

constexpr std::string_view kUnsafeOfDict[] = {"clear", "pop", "popitem", "setdefault", "update"};
constexpr std::string_view kUnsafeOfList[] = {"append", "clear", "pop",    "reverse",
                                              "insert", "sort",  "extend", "remove"};
// What every object of Python has, and no template may touch.
constexpr std::string_view kUnsafeOfAll[] = {"__class__",
                                             "__doc__",
                                             "__init__",
                                             "__dir__",
                                             "__eq__",
                                             "__ge__",
                                             "__gt__",
                                             "__hash__",
                                             "__le__",
                                             "__lt__",
                                             "__ne__",
                                             "__new__",
                                             "__reduce__",
                                             "__repr__",
                                             "__setattr__",
                                             "__str__",
                                             "__init_subclass__",
                                             "__subclasshook__",
                                             "__sizeof__",
                                             "__format__",
                                             "__getattribute__",
                                             "__delattr__",
                                             "__reduce_ex__"};

template <class Names>
bool has(const Names& names, std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

const Routine* find_in(std::span<const Routine> routines, std::string_view name) {
  for (const Routine& r : routines)
    if (r.name == name) return &r;
  return nullptr;
}

}  // namespace

const Routine* find_method(const Value& object, std::string_view name, bool& unsafe) {
  unsafe = name.starts_with("__") && has(kUnsafeOfAll, name);
  switch (object.kind) {
    case Kind::kString:
      if (const Routine* method = find_in(string_methods(), name)) return method;
      if (const Routine* method = find_in(string_split_methods(), name)) return method;
      return find_in(string_shape_methods(), name);
    case Kind::kDict:
      unsafe |= has(kUnsafeOfDict, name);
      return find_in(kDictMethods, name);
    case Kind::kList:
      if (object.list->kind >= ListKind::kKeys) return nullptr;
      unsafe |= object.list->kind == ListKind::kList && has(kUnsafeOfList, name);
      if (object.list->kind != ListKind::kList && name == "copy") return nullptr;
      return find_in(kListMethods, name);
    case Kind::kFloat:
      return find_in(kFloatMethods, name);
    case Kind::kLoop:
      return find_in(kLoopAttributes, name);
    case Kind::kObject:
      return object.object->cycler ? find_in(kCyclerMethods, name) : nullptr;
    default:
      return nullptr;
  }
}

}  // namespace nibble::jinja
