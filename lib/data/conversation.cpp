// SPDX-License-Identifier: Apache-2.0
#include "data/conversation.h"

#include <algorithm>

#include "base/error.h"

namespace nibble {
namespace {

using simdjson::dom::element_type;

constexpr const Form* kForms[] = {&kMessagesForm, &kSharegptForm, &kAlpacaForm, &kPromptForm,
                                  &kTextForm};

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

// Data that looks like a form above and must not be trained on as one.
void refuse_preferences(const Fields& record) {
  if (record.has("chosen") && record.has("rejected"))
    record.fail(
        "a preference pair (\"chosen\", \"rejected\"), which is not a form to fine-tune on");
  if (record.has("label") && record.at("label").is_bool())
    record.fail("rated by a boolean \"label\" (KTO), which is not a form to fine-tune on");
}

}  // namespace

FieldNames parse_field_names(std::span<const std::string> pairs) {
  FieldNames names;
  for (const std::string& pair : pairs) {
    const size_t colon = pair.find(':');
    if (colon == 0 || colon == std::string::npos || colon + 1 == pair.size())
      throw UsageError(cat("--fields: \"", pair, "\" is not FIELD:NAME, as in prompt:question"));
    names.emplace_back(pair.substr(0, colon), pair.substr(colon + 1));
  }
  return names;
}

Fields::Fields(simdjson::dom::element value, const FieldNames& names, std::string place)
    : names_(&names), place_(std::move(place)) {
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

std::string Fields::names() const {
  std::string all;
  for (const auto member : object_)
    all += cat(all.empty() ? "\"" : ", \"", std::string_view(member.key), "\"");
  return all.empty() ? "no fields" : all;
}

void Fields::fail(std::string_view fault) const {
  throw DataError(place_ + std::string(fault));
}

std::span<const Form* const> forms() {
  return kForms;
}

const Form& form_by_name(std::string_view name) {
  std::string all;
  for (const Form* form : kForms) {
    if (form->name == name) return *form;
    all += cat(", ", form->name);
  }
  throw UsageError(cat("--from=", name, ": no such form; known are auto", all));
}

const Form& detect_form(const Fields& record) {
  refuse_preferences(record);
  for (const Form* form : kForms)
    if (form->matches(record)) return *form;
  record.fail(cat("of no known form (it has ", record.names(), "); name its fields with --fields"));
}

void read_conversation(const Form& form, const Fields& record, Conversation& conversation) {
  conversation.messages.clear();
  conversation.plain = false;
  conversation.inputs = {};
  refuse_preferences(record);
  form.read(record, conversation);
}

}  // namespace nibble
