// SPDX-License-Identifier: Apache-2.0
#include "data/fields.h"

#include "base/error.h"
#include "base/quote.h"

namespace nibble {

using simdjson::dom::element_type;

const FieldNames& own_names() {
  static const FieldNames kNone;
  return kNone;
}

const char* kind_name(element_type type) {
  switch (type) {
    case element_type::ARRAY:
      return "an array";
    case element_type::OBJECT:
      return "an object";
    case element_type::STRING:
      return "text";
    case element_type::BOOL:
      return "a boolean";
    case element_type::NULL_VALUE:
      return "null";
    case element_type::INT64:
    case element_type::UINT64:
    case element_type::DOUBLE:
      break;
  }
  return "a number";
}

Json to_json(simdjson::dom::element value) {
  return parse_json(simdjson::minify(value), "record");
}

Fields::Fields(simdjson::dom::element value, const FieldNames& names, std::string place)
    : value_(value), names_(&names), place_(std::move(place)) {
  if (value.get_object().get(object_) != simdjson::SUCCESS)
    fail(cat("expected an object, found ", kind_name(value.type())));
}

std::string_view Fields::name(std::string_view field) const {
  for (const auto& [ours, theirs] : *names_)
    if (ours == field) return theirs;
  return field;
}

bool Fields::has(std::string_view field) const {
  simdjson::dom::element value;
  return object_[name(field)].get(value) == simdjson::SUCCESS && !value.is_null();
}

simdjson::dom::element Fields::at(std::string_view field) const {
  simdjson::dom::element value;
  if (object_[name(field)].get(value) != simdjson::SUCCESS) fail(cat("no \"", name(field), "\""));
  if (value.is_null()) fail(cat("\"", name(field), "\" is null"));
  return value;
}

std::string_view Fields::text(std::string_view field) const {
  const simdjson::dom::element value = at(field);
  std::string_view text;
  if (value.get_string().get(text) != simdjson::SUCCESS)
    fail(cat("\"", name(field), "\" is ", kind_name(value.type()), ", not text"));
  return text;
}

std::string_view Fields::text_or(std::string_view field, std::string_view otherwise) const {
  return has(field) ? text(field) : otherwise;
}

simdjson::dom::array Fields::array(std::string_view field) const {
  const simdjson::dom::element value = at(field);
  simdjson::dom::array items;
  if (value.get_array().get(items) != simdjson::SUCCESS)
    fail(cat("\"", name(field), "\" is ", kind_name(value.type()), ", not an array"));
  return items;
}

Json Fields::list(std::string_view field) const {
  if (!has(field)) return nullptr;
  Json list = at(field).is_string() ? parse_json(text(field), std::string(name(field)))
                                    : to_json(at(field));
  if (!list.is_array()) fail(cat("\"", name(field), "\" is no list"));
  if (list.as_array().empty()) return nullptr;
  return list;
}

std::string Fields::names() const {
  constexpr size_t kMost = 20;
  std::string all;
  size_t count = 0;
  for (const auto member : object_) {
    if (++count > kMost) return all + ", ...";
    all += cat(all.empty() ? "" : ", ", quote(member.key));
  }
  return all.empty() ? "no fields" : all;
}

void Fields::fail(std::string_view fault) const {
  throw DataError(place_ + std::string(fault));
}

}  // namespace nibble
