// SPDX-License-Identifier: Apache-2.0
// Filters that sort, group and compare.
#include <algorithm>

#include "text/jinja_filters.h"
#include "text/jinja_utf8.h"

namespace nibble::jinja::filters {
namespace {

Value without_case(Machine& m, const Value& v) {
  return v.is_string() ? m.text(utf8::lower(v.text())) : v;
}

struct Keyed {
  Value key, item;
};

// Sorts by keys, stably; in reverse, equal ones keep their order too, as in Python.
void sort_by_key(Machine& m, std::vector<Keyed>& all, bool reverse) {
  const auto less = [&](const Keyed& a, const Keyed& b) {
    m.step();
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
    if (equal(other, best_key)) continue;
    const int order = compare(other, best_key, largest ? ">" : "<");
    if (largest ? order <= 0 : order >= 0) continue;
    best = &all.items[i];
    best_key = other;
  }
  return *best;
}

}  // namespace

Value dictsort(Machine& m, const Value& v, const Arguments& a) {
  const Bound b(a, "dictsort", {"case_sensitive", "by", "reverse"});
  const std::string_view by = b.text(1, "key");
  if (by != "key" && by != "value")
    fail("FilterArgumentError", "You can only sort by either \"key\" or \"value\"");
  if (v.undefined_value()) fail_undefined(v);
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

}  // namespace nibble::jinja::filters
