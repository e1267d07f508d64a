// SPDX-License-Identifier: Apache-2.0
#include "score/example_record.h"

#include "base/error.h"
#include "data/fields.h"
#include "io/json_fault.h"

namespace nibble {
namespace {

using simdjson::dom::element;

[[noreturn]] void wrong_kind(std::string_view expected, element found) {
  throw DataError(cat("expected ", expected, ", found ", kind_name(found.type())));
}

}  // namespace

element record_of(const ScoreExample& example) {
  thread_local simdjson::dom::parser parser;
  if (example.record.empty()) throw DataError("a line of text, where a record of JSON is needed");
  element record;
  if (const auto error = parser.parse(example.record).get(record))
    throw DataError(cat("malformed JSON: ", json_fault(error)));
  if (!record.is_object()) throw DataError("not a JSON object");
  return record;
}

element member_of(element object, std::string_view name) {
  element member;
  if (object.at_key(name).get(member) != simdjson::SUCCESS)
    throw DataError(cat("no \"", name, "\""));
  return member;
}

double number_of(element value) {
  double number = 0.0;
  if (value.get(number) != simdjson::SUCCESS) wrong_kind("a number", value);
  return number;
}

simdjson::dom::array array_of(element value) {
  simdjson::dom::array array;
  if (value.get(array) != simdjson::SUCCESS) wrong_kind("an array", value);
  return array;
}

}  // namespace nibble
