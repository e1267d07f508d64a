// SPDX-License-Identifier: Apache-2.0
#include "text/jinja_value.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace nibble::jinja {
namespace {

constexpr size_t kFirstBlock = size_t{64} << 10, kLargestBlock = size_t{4} << 20;
constexpr int kDeepest = 500;  // values in one another that are compared

void check_depth(int depth) {
  if (depth > kDeepest) fail("RecursionError", "maximum recursion depth exceeded in comparison");
}

// Compares an integer and a real exactly, as Python does.
int compare_numbers(const Value& a, const Value& b) {
  if (a.is_integer() && b.is_integer()) {
    const int64_t x = a.as_integer(), y = b.as_integer();
    return x < y ? -1 : x > y;
  }
  if (a.is(Kind::kFloat) && b.is(Kind::kFloat)) return a.real < b.real ? -1 : a.real > b.real;
  if (a.is(Kind::kFloat)) return -compare_numbers(b, a);
  const double y = b.real;
  if (y >= 0x1p63) return -1;
  if (y < -0x1p63) return 1;
  const auto whole = static_cast<int64_t>(std::floor(y));
  if (a.as_integer() != whole) return a.as_integer() < whole ? -1 : 1;
  return y > std::floor(y) ? -1 : 0;
}

bool is_nan(const Value& v) {
  return v.is(Kind::kFloat) && std::isnan(v.real);
}

bool equal_dicts(const Dict& a, const Dict& b, int depth) {
  if (a.size != b.size) return false;
  return std::all_of(a.begin(), a.end(), [&](const Entry& e) {
    const Entry* other = find(b, e.key);
    return other != nullptr && equal(e.value, other->value, depth + 1);
  });
}

bool same_sort(const List& a, const List& b) {
  return a.kind == b.kind;
}

}  // namespace

void fail(std::string kind, std::string message) {
  throw Fault{std::move(kind), std::move(message)};
}
void type_error(std::string message) {
  fail("TypeError", std::move(message));
}
void value_error(std::string message) {
  fail("ValueError", std::move(message));
}

void* Arena::take(size_t bytes) {
  if (bytes > limit_) fail("MemoryError", "the template takes too much memory");
  bytes = (bytes + 15) & ~size_t{15};
  if (blocks_.empty() || used_ + bytes > blocks_.back().size) {
    const size_t next =
        blocks_.empty() ? kFirstBlock : std::min(kLargestBlock, 2 * blocks_.back().size);
    const size_t size = std::max(bytes, next);
    if (total_ + size > limit_) fail("MemoryError", "the template takes too much memory");
    blocks_.push_back({std::make_unique_for_overwrite<std::byte[]>(size), size});
    total_ += size;
    used_ = 0;
  }
  void* at = blocks_.back().bytes.get() + used_;
  used_ += bytes;
  return at;
}

std::string_view Arena::copy(std::string_view text) {
  char* to = array<char>(text.size());
  std::copy(text.begin(), text.end(), to);
  return {to, text.size()};
}

void Arena::reset() {
  if (blocks_.size() > 1) blocks_.resize(1);
  total_ = blocks_.empty() ? 0 : blocks_[0].size;
  used_ = 0;
}

Value::Value(std::string_view text)
    : kind(Kind::kString), size(static_cast<uint32_t>(text.size())), chars(text.data()) {
  if (text.size() > UINT32_MAX) fail("MemoryError", "a text is too long");
}

std::string_view type_name(const Value& v) {
  switch (v.kind) {
    case Kind::kMissing:
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kString:
      return v.markup ? "Markup" : "str";
    case Kind::kList: {
      constexpr std::string_view kNames[] = {"list",      "tuple",       "range",
                                             "dict_keys", "dict_values", "dict_items"};
      return kNames[static_cast<size_t>(v.list->kind)];
    }
    case Kind::kDict:
      return "dict";
    case Kind::kNamespace:
      return "TemplateNamespace";
    case Kind::kIterator:
      return "generator";
    case Kind::kLoop:
      return "LoopContext";
    case Kind::kMacro:
      return "Macro";
    case Kind::kFunction:
      return v.function->self.missing() ? "function" : "builtin_function_or_method";
    case Kind::kObject:
      return v.object->cycler ? "Cycler" : "Joiner";
  }
  return "object";
}

std::string object_name(const Value& v) {
  switch (v.kind) {
    case Kind::kNone:
      return "None";
    case Kind::kNamespace:
      return "transformers.utils.chat_template_utils.TemplateNamespace object";
    case Kind::kLoop:
    case Kind::kMacro:
      return cat("jinja2.runtime.", type_name(v), " object");
    case Kind::kObject:
      return cat("jinja2.utils.", type_name(v), " object");
    default:
      return cat(v.is_string() && v.markup ? "markupsafe." : "", type_name(v), " object");
  }
}

void fail_undefined(const Value& v) {
  const Undefined& u = *v.undefined;
  std::string message;
  if (!u.hint.empty())
    message = u.hint;
  else if (u.object.missing())
    message = cat(repr(u.name), " is undefined");
  else if (!u.name.is_string())
    message = cat(object_name(u.object), " has no element ", repr(u.name));
  else
    message = cat("'", object_name(u.object), "' has no attribute ", repr(u.name));
  fail(u.kind, message);
}

bool truth(const Value& v) {
  switch (v.kind) {
    case Kind::kMissing:
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
      return v.boolean;
    case Kind::kInt:
      return v.integer != 0;
    case Kind::kFloat:
      return v.real != 0;
    case Kind::kString:
      return v.size != 0;
    case Kind::kList:
      return v.list->size != 0;
    case Kind::kDict:
      return v.dict->size != 0;
    case Kind::kLoop:
      return v.loop->items->size != 0;
    default:
      return true;
  }
}

bool equal(const Value& a, const Value& b, int depth) {
  check_depth(depth);
  if (a.is_number() && b.is_number()) return !is_nan(a) && !is_nan(b) && compare_numbers(a, b) == 0;
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Kind::kMissing:
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kString:
      return a.text() == b.text();
    case Kind::kList:
      if (a.list == b.list) return true;
      if (!same_sort(*a.list, *b.list) || a.list->size != b.list->size) return false;
      if (a.list->kind == ListKind::kValues) return false;
      return std::equal(a.list->begin(), a.list->end(), b.list->begin(),
                        [&](const Value& x, const Value& y) { return equal(x, y, depth + 1); });
    case Kind::kDict:
      return a.dict == b.dict || equal_dicts(*a.dict, *b.dict, depth);
    case Kind::kFunction:
      return a.function->run == b.function->run;
    default:
      return a.integer == b.integer;  // the same object
  }
}

int compare(const Value& a, const Value& b, std::string_view op, int depth) {
  check_depth(depth);
  if (a.is_number() && b.is_number()) return compare_numbers(a, b);
  if (a.is_string() && b.is_string()) {
    const int order = a.text().compare(b.text());
    return order < 0 ? -1 : order > 0;
  }
  if (a.undefined_value()) fail_undefined(a);
  if (b.undefined_value()) fail_undefined(b);
  if (a.is(Kind::kList) && b.is(Kind::kList) && a.list->kind == b.list->kind &&
      a.list->kind <= ListKind::kTuple) {
    const size_t both = std::min(a.list->size, b.list->size);
    for (size_t i = 0; i < both; ++i)
      if (!equal(a.list->items[i], b.list->items[i], depth + 1))
        return compare(a.list->items[i], b.list->items[i], op, depth + 1);
    return a.list->size < b.list->size ? -1 : a.list->size > b.list->size;
  }
  type_error(cat("'", op, "' not supported between instances of '", type_name(a), "' and '",
                 type_name(b), "'"));
}

void check_hashable(const Value& v) {
  const bool list =
      v.is(Kind::kList) && v.list->kind != ListKind::kTuple && v.list->kind != ListKind::kRange;
  if (list || v.is(Kind::kDict)) type_error(cat("unhashable type: '", type_name(v), "'"));
  if (v.is(Kind::kList) && v.list->kind == ListKind::kTuple)
    for (const Value& item : *v.list) check_hashable(item);
}

Entry* find(const Dict& dict, std::string_view key) {
  for (Entry& e : dict)
    if (e.key.is_string() && e.key.size == key.size() &&
        std::memcmp(e.key.chars, key.data(), key.size()) == 0)
      return &e;
  return nullptr;
}

Entry* find(const Dict& dict, const Value& key) {
  if (key.is_string()) return find(dict, key.text());
  for (Entry& e : dict)
    if (equal(e.key, key)) return &e;
  return nullptr;
}

}  // namespace nibble::jinja
