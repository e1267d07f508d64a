// SPDX-License-Identifier: Apache-2.0
// Rated answers, as KTO learns from: a record of any other form with a "label" (TRL) or "kto_tag"
// (LLaMA-Factory), true or "desirable", false or "undesirable".
#include <algorithm>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/quote.h"
#include "data/conversation.h"

namespace nibble {
namespace {

constexpr std::string_view kTags[] = {"kto_tag", "label"};

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

std::optional<bool> rating(simdjson::dom::element value) {
  bool good = false;
  std::string_view text;
  if (value.get_bool().get(good) == simdjson::SUCCESS) return good;
  if (value.get_string().get(text) != simdjson::SUCCESS || text.size() > 12) return {};
  const std::string word = lower(text);
  if (word == "desirable" || word == "true") return true;
  if (word == "undesirable" || word == "false") return false;
  return {};
}

}  // namespace

constinit const Form kRatedForm = {
    .name = "kto",
    .fields = R"(any of the others and "label" or "kto_tag", true or false)",
    .matches =
        [](const Fields& record) {
          return record.has("kto_tag") || (record.has("label") && rating(record.at("label")));
        },
    .read =
        [](const Fields& record, Conversation& conversation) {
          const std::string_view tag = record.has(kTags[0]) ? kTags[0] : kTags[1];
          const std::optional<bool> good = rating(record.at(tag));
          if (!good)
            record.fail(cat("\"", record.name(tag), "\" is ",
                            record.at(tag).is_string() ? quote(record.text(tag), 40)
                                                       : kind_name(record.at(tag).type()),
                            ", neither true (desirable) nor false (undesirable)"));
          for (const Form* form : forms()) {
            if (form == &kRatedForm || !form->matches(record)) continue;
            if (form == &kPreferenceForm) record.fail("a preference pair and rated besides");
            form->read(record, conversation);
            conversation.desirable = good;
            return;
          }
          record.fail(cat("rated, but of no known form besides (it has ", record.names(), ")"));
        },
};

}  // namespace nibble
