// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "text/jinja_filters.h"
#include "text/jinja_utf8.h"

namespace nibble::jinja::filters {
namespace {

// What an attribute="a.b.0" of a filter reads from an item.
class Getter {
 public:
  Getter(Machine& m, const Value& attribute, const Value& otherwise = Value(Kind::kNone))
      : m_(m), otherwise_(otherwise) {
    if (attribute.missing() || attribute.none()) return;
    if (!attribute.is_string()) {
      parts_.push_back(attribute);
      return;
    }
    for (std::string_view rest = attribute.text();;) {
      const size_t dot = rest.find('.');
      const std::string_view part = rest.substr(0, dot);
      int64_t index = 0;
      const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
      const bool digits = !part.empty() && part[0] != '-' && error == std::errc() &&
                          end == part.data() + part.size();
      parts_.push_back(digits ? Value(index) : Value(part));
      if (dot == std::string_view::npos) break;
      rest.remove_prefix(dot + 1);
    }
  }

  Value operator()(Value v) const {
    m_.step();
    for (const Value& part : parts_) {
      v = m_.item(v, part);
      if (v.undefined_value() && !otherwise_.none()) v = otherwise_;
    }
    return v;
  }

 private:
  Machine& m_;
  Value otherwise_;
  std::vector<Value> parts_;
};

Value without_case(Machine& m, const Value& v) {
  return v.is_string() ? m.text(utf8::lower(v.text())) : v;
}

struct Keyed {
  Value key, item;
};

// Undefined values have no order, but with their like.
void check_order(Machine& m, const Value& a, const Value& b) {
  if (equal(a, b)) return;
  if (a.undefined_value()) m.fail_undefined(a);
  if (b.undefined_value()) m.fail_undefined(b);
  if (!a.is(Kind::kList) || !b.is(Kind::kList)) return;
  for (size_t i = 0; i < std::min(a.list->size, b.list->size); ++i)
    if (!equal(a.list->items[i], b.list->items[i]))
      return check_order(m, a.list->items[i], b.list->items[i]);
}

// Sorts by keys, stably; in reverse, equal ones keep their order too, as in Python.
void sort_by_key(Machine& m, std::vector<Keyed>& all, bool reverse) {
  const auto less = [&](const Keyed& a, const Keyed& b) {
    m.step();
    check_order(m, a.key, b.key);
    return !equal(a.key, b.key) && compare(a.key, b.key, "<") < 0;
  };
  if (reverse) std::reverse(all.begin(), all.end());
  std::stable_sort(all.begin(), all.end(), less);
  if (reverse) std::reverse(all.begin(), all.end());
}

Value items_of(Machine& m, const std::vector<Keyed>& all) {
  std::vector<Value> items;
  for (const Keyed& k : all) items.push_back(k.item);
  return m.list(items);
}

Value extreme(Machine& m, const Value& v, const Arguments& a, bool largest) {
  const Bound b(a, largest ? "max" : "min", {"case_sensitive", "attribute"});
  const Getter get(m, b[1]);
  const List& all = m.iterate(v);
  if (all.size == 0) return m.undefined("No aggregated item, sequence was empty.");
  const auto key = [&](const Value& item) {
    return b.flag(0) ? get(item) : without_case(m, get(item));
  };
  const Value* best = &all.items[0];
  Value best_key = key(*best);
  for (size_t i = 1; i < all.size; ++i) {
    const Value other = key(all.items[i]);
    check_order(m, other, best_key);
    if (equal(other, best_key)) continue;
    const int order = compare(other, best_key, largest ? ">" : "<");
    if (largest ? order <= 0 : order >= 0) continue;
    best = &all.items[i];
    best_key = other;
  }
  return *best;
}

// select, reject and their kin: what a test holds for.
Value chosen(Machine& m, const Value& v, const Arguments& a, bool keep, bool by_attribute) {
  std::vector<Value> kept;
  if (!truth(v)) return m.iterator(kept);
  const size_t skip = by_attribute ? 1 : 0;
  if (a.positional.size() < skip)
    fail("FilterArgumentError", "Missing parameter for attribute name");
  const Getter get(m, by_attribute ? a.positional[0] : Value(Kind::kNone));
  const bool has_test = a.positional.size() > skip;
  const std::string test = has_test ? str(a.positional[skip]) : "";
  const Arguments rest{has_test ? a.positional.subspan(skip + 1) : a.positional.subspan(skip),
                       a.named};
  for (const Value& item : m.iterate(v)) {
    const Value part = get(item);
    if ((has_test ? m.test(test, part, rest) : truth(part)) == keep) kept.push_back(item);
  }
  return m.iterator(kept);
}

}  // namespace

Value length(Machine& m, const Value& v, const Arguments& a) {
  const Bound b(a, "length", {});
  return static_cast<int64_t>(m.length(v));
}

Value list(Machine& m, const Value& v, const Arguments& a) {
  const Bound b(a, "list", {});
  const List& all = m.iterate(v);
  return m.arena().make(List{all.items, all.size});
}

Value first(Machine& m, const Value& v, const Arguments& a) {
  const Bound b(a, "first", {});
  if (v.is(Kind::kIterator)) {
    Iterator& it = *v.iterator;
    if (it.at < it.items->size) return it.items->items[it.at++];
  }
  const List& all = m.iterate(v);
  return all.size > 0 ? all.items[0] : m.undefined("No first item, sequence was empty.");
}

Value last(Machine& m, const Value& v, const Arguments& a) {
  const Bound b(a, "last", {});
  if (v.is(Kind::kIterator)) type_error("'generator' object is not reversible");
  const List& all = m.iterate(v);
  return all.size > 0 ? all.items[all.size - 1] : m.undefined("No last item, sequence was empty.");
}

Value join(Machine& m, const Value& v, const Arguments& a) {
  const Bound b(a, "join", {"d", "attribute"});
  const Getter get(m, b[1]);
  const std::string by = b.has(0) ? str(b[0]) : "";
  std::string out;
  bool any = false;
  for (const Value& item : m.iterate(v)) {
    if (any) out += by;
    any = true;
    append_str(out, get(item));
    if (out.size() > kMaxMemory) fail("MemoryError", "the template takes too much memory");
  }
  return m.text(out);
}

Value items(Machine& m, const Value& v, const Arguments& a) {
  const Bound b(a, "items", {});
  std::vector<Value> pairs;
  if (v.undefined_value()) return m.iterator(pairs);
  if (!v.is(Kind::kDict)) type_error("Can only get item pairs from a mapping.");
  for (const Entry& e : *v.dict) pairs.push_back(m.pair(e.key, e.value));
  return m.iterator(pairs);
}

Value dictsort(Machine& m, const Value& v, const Arguments& a) {
  const Bound b(a, "dictsort", {"case_sensitive", "by", "reverse"});
  const std::string_view by = b.text(1, "key");
  if (by != "key" && by != "value")
    fail("FilterArgumentError", "You can only sort by either \"key\" or \"value\"");
  if (v.undefined_value()) m.fail_undefined(v);
  if (!v.is(Kind::kDict))
    fail("AttributeError", cat("'", type_name(v), "' object has no attribute 'items'"));
  std::vector<Keyed> all;
  for (const Entry& e : *v.dict) {
    const Value& key = by == "key" ? e.key : e.value;
    all.push_back({b.flag(0) ? key : without_case(m, key), m.pair(e.key, e.value)});
  }
  sort_by_key(m, all, b.flag(2));
  return items_of(m, all);
}

Value sort(Machine& m, const Value& v, const Arguments& a) {
  const Bound b(a, "sort", {"reverse", "case_sensitive", "attribute"});
  std::vector<Getter> getters;
  if (b.has(2) && b[2].is_string()) {
    for (std::string_view rest = b[2].text();;) {
      const size_t comma = rest.find(',');
      getters.emplace_back(m, Value(rest.substr(0, comma)));
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
  } else {
    getters.emplace_back(m, b[2]);
  }
  std::vector<Keyed> all;
  for (const Value& item : m.iterate(v)) {
    std::vector<Value> key;
    for (const Getter& get : getters)
      key.push_back(b.flag(1) ? get(item) : without_case(m, get(item)));
    all.push_back({m.list(key), item});
  }
  sort_by_key(m, all, b.flag(0));
  return items_of(m, all);
}

Value unique(Machine& m, const Value& v, const Arguments& a) {
  const Bound b(a, "unique", {"case_sensitive", "attribute"});
  const Getter get(m, b[1]);
  Dict* seen = m.dict(0);
  std::vector<Value> kept;
  for (const Value& item : m.iterate(v)) {
    const Value key = b.flag(0) ? get(item) : without_case(m, get(item));
    check_hashable(key);
    m.step(seen->size / 8);
    if (find(*seen, key)) continue;
    m.set(*seen, key, Value(true));
    kept.push_back(item);
  }
  return m.iterator(kept);
}

Value min(Machine& m, const Value& v, const Arguments& a) {
  return extreme(m, v, a, false);
}
Value max(Machine& m, const Value& v, const Arguments& a) {
  return extreme(m, v, a, true);
}

Value sum(Machine& m, const Value& v, const Arguments& a) {
  const Bound b(a, "sum", {"attribute", "start"});
  const Getter get(m, b[0]);
  Value out = b.value(1, Value(int64_t{0}));
  if (out.is_string()) type_error("sum() can't sum strings [use ''.join(seq) instead]");
  for (const Value& item : m.iterate(v)) out = m.binary(Operator::kAdd, out, get(item));
  return out;
}

Value reverse(Machine& m, const Value& v, const Arguments& a) {
  const Bound b(a, "reverse", {});
  const List& all = m.iterate(v);
  std::vector<Value> items(all.begin(), all.end());
  std::reverse(items.begin(), items.end());
  if (!v.is_string()) return v.is(Kind::kIterator) ? m.list(items) : m.iterator(items);
  std::string out;
  for (const Value& c : items) out += c.text();
  return m.text(out);
}

Value batch(Machine& m, const Value& v, const Arguments& a) {
  const Bound b(a, "batch", {"linecount", "fill_with"}, 1);
  const int64_t size = b.integer(0, 1);
  std::vector<Value> lines, line;
  for (const Value& item : m.iterate(v)) {
    if (static_cast<int64_t>(line.size()) == size) {
      lines.push_back(m.list(line));
      line.clear();
    }
    line.push_back(item);
  }
  if (!line.empty()) {
    while (b.has(1) && !b[1].none() && static_cast<int64_t>(line.size()) < size) {
      m.step();
      line.push_back(b[1]);
    }
    lines.push_back(m.list(line));
  }
  return m.iterator(lines);
}

Value slice(Machine& m, const Value& v, const Arguments& a) {
  const Bound b(a, "slice", {"slices", "fill_with"}, 1);
  const int64_t slices = b.integer(0, 1);
  const List& all = m.iterate(v);
  if (slices == 0) fail("ZeroDivisionError", "integer division or modulo by zero");
  std::vector<Value> parts;
  const int64_t size = static_cast<int64_t>(all.size), each = slices > 0 ? size / slices : 0,
                longer = slices > 0 ? size % slices : 0;
  size_t at = 0;
  for (int64_t i = 0; i < slices; ++i) {
    const auto count = static_cast<size_t>(each + (i < longer ? 1 : 0));
    std::vector<Value> part(all.items + at, all.items + at + count);
    at += count;
    if (b.has(1) && !b[1].none() && i >= longer) part.push_back(b[1]);
    parts.push_back(m.list(part));
    m.step();
  }
  return m.iterator(parts);
}

Value groupby(Machine& m, const Value& v, const Arguments& a) {
  const Bound b(a, "groupby", {"attribute", "default", "case_sensitive"}, 1);
  const Getter get(m, b[0], b.value(1, Value(Kind::kNone)));
  std::vector<Keyed> all;
  for (const Value& item : m.iterate(v))
    all.push_back({b.flag(2) ? get(item) : without_case(m, get(item)), item});
  sort_by_key(m, all, false);
  std::vector<Value> groups, group;
  for (size_t i = 0; i < all.size(); ++i) {
    group.push_back(all[i].item);
    if (i + 1 < all.size() && equal(all[i].key, all[i + 1].key)) continue;
    groups.push_back(m.pair(get(group.front()), m.list(group)));
    group.clear();
  }
  return m.list(groups);
}

Value map(Machine& m, const Value& v, const Arguments& a) {
  std::vector<Value> out;
  if (!truth(v)) return m.iterator(out);
  if (a.positional.empty() && !a.named.empty()) {
    const Bound b(a, "map", {"attribute", "default"}, 1);
    const Getter get(m, b[0], b.value(1, Value(Kind::kNone)));
    for (const Value& item : m.iterate(v)) out.push_back(get(item));
    return m.iterator(out);
  }
  if (a.positional.empty()) fail("FilterArgumentError", "map requires a filter argument");
  const std::string name = str(a.positional[0]);
  const Arguments rest{a.positional.subspan(1), a.named};
  for (const Value& item : m.iterate(v)) out.push_back(m.filter(name, item, rest));
  return m.iterator(out);
}

Value select(Machine& m, const Value& v, const Arguments& a) {
  return chosen(m, v, a, true, false);
}
Value reject(Machine& m, const Value& v, const Arguments& a) {
  return chosen(m, v, a, false, false);
}
Value selectattr(Machine& m, const Value& v, const Arguments& a) {
  return chosen(m, v, a, true, true);
}
Value rejectattr(Machine& m, const Value& v, const Arguments& a) {
  return chosen(m, v, a, false, true);
}

}  // namespace nibble::jinja::filters
