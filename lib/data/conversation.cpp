// SPDX-License-Identifier: Apache-2.0
#include "data/conversation.h"

#include <algorithm>

#include "base/error.h"

namespace nibble {
namespace {

// Ratings and pairs first: they are other forms with something more.
constexpr const Form* kForms[] = {&kRatedForm,    &kPreferenceForm, &kMessagesForm,
                                  &kSharegptForm, &kOasstForm,      &kAlpacaForm,
                                  &kPromptForm,   &kQuestionForm,   &kTextForm};

}  // namespace

FieldNames parse_field_names(std::span<const std::string> pairs) {
  FieldNames names;
  for (const std::string& pair : pairs) {
    const size_t colon = pair.find(':');
    if (colon == 0 || colon == std::string::npos || colon + 1 == pair.size())
      throw UsageError(cat("--fields: \"", pair, "\" is not FIELD:NAME, as in prompt:question"));
    const std::string field = pair.substr(0, colon);
    const bool known = std::any_of(std::begin(kForms), std::end(kForms), [&](const Form* form) {
      return form->fields.find(cat("\"", field, "\"")) != std::string_view::npos;
    });
    if (!known)
      throw UsageError(cat("--fields: no form has a field \"", field,
                           "\"; it is FIELD:NAME, the form's before the record's"));
    names.emplace_back(field, pair.substr(colon + 1));
  }
  return names;
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

const Form* find_form(const Fields& record) {
  for (const Form* form : kForms)
    if (form->matches(record)) return form;
  return nullptr;
}

const Form& detect_form(const Fields& record) {
  if (const Form* form = find_form(record)) return *form;
  record.fail(cat("of no known form (it has ", record.names(), ")"));
}

void read_conversation(const Form& form, const Fields& record, Conversation& conversation) {
  conversation = {};
  form.read(record, conversation);
}

void read_conversations(const Form& form, const Fields& record, Paths paths, Conversations& found) {
  found.left_out = 0;
  if (form.read_all) {
    found.all.clear();
    form.read_all(record, paths, found);
    return;
  }
  found.all.resize(1);
  read_conversation(form, record, found.all[0]);
}

}  // namespace nibble
