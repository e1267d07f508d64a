// SPDX-License-Identifier: Apache-2.0
// Fields: the members of a JSON object by the names that a form of instruction data uses, with
// errors that say what is wrong with them.
#pragma once

#include <simdjson.h>

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/json.h"

namespace nibble {

/// What the user calls the fields that a form reads: {"prompt", "question"} reads the record's
/// "question" where the form wants its prompt.
using FieldNames = std::vector<std::pair<std::string, std::string>>;
/// The names that records use themselves.
const FieldNames& own_names();

/// "an array", "text", "null": what a value is, for messages.
const char* kind_name(simdjson::dom::element_type type);
Json to_json(simdjson::dom::element value);

/// The members of a JSON object, by the names that a form uses. null is as good as absent. Errors
/// are DataError without the record's place.
class Fields {
 public:
  /// Throws DataError where the value is no object. `place` ("messages[2]: ") starts the messages.
  Fields(simdjson::dom::element value, const FieldNames& names, std::string place = {});

  bool has(std::string_view field) const;
  /// The member; DataError 'no "output"' where it is absent or null.
  simdjson::dom::element at(std::string_view field) const;
  /// Its text; DataError '"output" is a number, not text' where it is something else.
  std::string_view text(std::string_view field) const;
  std::string_view text_or(std::string_view field, std::string_view otherwise) const;
  /// Its items; DataError where it is no array.
  simdjson::dom::array array(std::string_view field) const;
  /// A list, or the text of one, as a tree; null where it is absent or empty.
  Json list(std::string_view field) const;
  /// What the record calls the field.
  std::string_view name(std::string_view field) const;
  /// "a", "b", "c": the names that the record has.
  std::string names() const;
  const std::string& place() const { return place_; }
  simdjson::dom::object object() const { return object_; }
  simdjson::dom::element value() const { return value_; }

  [[noreturn]] void fail(std::string_view fault) const;

 private:
  simdjson::dom::element value_;
  simdjson::dom::object object_;
  const FieldNames* names_;
  std::string place_;
};

}  // namespace nibble
