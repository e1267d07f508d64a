// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "text/jinja_filters.h"

namespace nibble::jinja::filters {
namespace {

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
  if (!v.is_string() && !v.is(Kind::kList) && !v.is(Kind::kDict) && !v.undefined_value())
    type_error(cat("'", type_name(v), "' object is not reversible"));
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
  if (v.none() || v.is_number()) fail("FilterArgumentError", "argument must be iterable");
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
