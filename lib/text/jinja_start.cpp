// SPDX-License-Identifier: Apache-2.0
// What a rendering begins with: the template's variables.
#include <unordered_map>

#include "text/jinja_machine.h"

namespace nibble::jinja {
namespace {

// Objects with more members than this are searched by hash for names given twice.
constexpr size_t kFewMembers = 16;

}  // namespace

Machine::Machine(const Program& program, const RenderOptions& options, Arena& arena)
    : program_(program), options_(options), arena_(arena), loop_name_(program.find("loop")) {
  root_.assign(program.names.size(), Value(Kind::kMissing));
  globals_.assign(program.names.size(), Value(Kind::kMissing));
  for (size_t i = 0; i < program.names.size(); ++i)
    if (const Run known = find_global(program.names[i]))
      globals_[i] = function(program.names[i], known);
}

Rendered Machine::run(const Json& variables) {
  for (const auto& [name, json] : variables.as_object()) {
    const int id = program_.find(name);
    if (id < 0) continue;
    Value& v = root_[static_cast<size_t>(id)];
    v = from_json(json);
    if (name != options_.watch || !v.is(Kind::kList)) continue;
    for (size_t i = 0; i < v.list->size; ++i)
      if (v.list->items[i].is(Kind::kDict))
        v.list->items[i].dict->message = static_cast<int64_t>(i);
  }
  run(program_.body);
  return std::move(rendered_);
}

Value Machine::from_json(const Json& json) {
  step();
  if (json.is_null()) return Value(Kind::kNone);
  if (json.is_bool()) return Value(json.as_bool());
  if (json.is_integer()) return Value(json.as_integer());
  if (json.is_number()) return Value(json.as_number());
  if (json.is_string()) return Value(std::string_view(json.as_string()));
  if (json.is_object()) return from_object(json.as_object());
  const Json::Array& array = json.as_array();
  auto* items = arena_.array<Value>(array.size());
  for (size_t i = 0; i < array.size(); ++i) items[i] = from_json(array[i]);
  return arena_.make(List{items, array.size()});
}

// Of members with one name the last counts, at the place of the first.
Value Machine::from_object(const Json::Object& object) {
  Dict* out = dict(object.size());
  std::unordered_map<std::string_view, Entry*> many;
  for (const auto& [name, json] : object) {
    const Value v = from_json(json);
    Entry* known = nullptr;
    if (object.size() <= kFewMembers)
      known = find(*out, std::string_view(name));
    else if (const auto at = many.find(name); at != many.end())
      known = at->second;
    if (known) {
      known->value = v;
      continue;
    }
    Entry& entry = out->entries[out->size++];
    entry = {Value(std::string_view(name)), v};
    if (object.size() > kFewMembers) many.emplace(name, &entry);
  }
  return out;
}

void Machine::out_of_steps() {
  fail("TimeoutError", cat("the template takes more than ", kMaxSteps / 1'000'000,
                           " million steps; it may never end"));
}

}  // namespace nibble::jinja
