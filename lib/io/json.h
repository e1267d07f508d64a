// SPDX-License-Identifier: Apache-2.0
// Json: a document as a tree, for configurations, headers and records, read by simdjson. Objects
// keep their order and numbers their integer or real kind, so that what is read and not understood
// is written back as it was.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"
#include "io/file.h"

namespace nibble {

class Json {
 public:
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;

  Json() = default;
  Json(std::nullptr_t) {}
  Json(bool v) : value_(v) {}
  Json(int v) : value_(int64_t{v}) {}
  Json(int64_t v) : value_(v) {}
  Json(uint64_t v) {  // as the parser stores it: unsigned only where it must be
    if (v <= INT64_MAX)
      value_ = static_cast<int64_t>(v);
    else
      value_ = v;
  }
  Json(double v) : value_(v) {}
  Json(float v) : value_(static_cast<double>(v)) {}
  Json(const char* v) : value_(std::string(v)) {}
  Json(std::string_view v) : value_(std::string(v)) {}
  Json(std::string v) : value_(std::move(v)) {}
  Json(Array v) : value_(std::move(v)) {}
  Json(Object v) : value_(std::move(v)) {}
  static Json object(std::initializer_list<Member> members = {}) { return Json(Object(members)); }
  static Json array(std::initializer_list<Json> items = {}) { return Json(Array(items)); }

  bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  bool is_bool() const { return std::holds_alternative<bool>(value_); }
  bool is_integer() const;
  bool is_number() const { return is_integer() || std::holds_alternative<double>(value_); }
  bool is_string() const { return std::holds_alternative<std::string>(value_); }
  bool is_array() const { return std::holds_alternative<Array>(value_); }
  bool is_object() const { return std::holds_alternative<Object>(value_); }

  /// The value as that kind; throws DataError "expected a string, found null" where it is another
  /// (the caller adds the place). as_number takes integers too; as_integer takes reals without a
  /// fraction.
  bool as_bool() const;
  int64_t as_integer() const;
  double as_number() const;
  const std::string& as_string() const;
  const Array& as_array() const;
  const Object& as_object() const;
  Array& as_array();
  Object& as_object();

  /// The member of that name, or null (nullptr) where this is no object or has none.
  const Json* find(std::string_view name) const;
  Json* find(std::string_view name);
  /// The member, or DataError 'no "name"'.
  const Json& at(std::string_view name) const;
  /// Sets or appends a member.
  Json& set(std::string_view name, Json value);
  void erase(std::string_view name);

  /// Compact without indent, else one member a line. Strings are escaped as JSON requires;
  /// UTF-8 is kept. A NaN or infinity throws BugError.
  std::string dump(int indent = -1) const;

  bool operator==(const Json&) const = default;

 private:
  void append_to(std::string& out, int indent, int depth) const;
  std::variant<std::monostate, bool, int64_t, uint64_t, double, std::string, Array, Object> value_;
};

/// Parses one document; `place` ("config.json" or "x.jsonl:7") starts the message of DataError.
Json parse_json(std::string_view text, const std::string& place);
/// Reads and parses a file.
Json read_json_file(const fs::path& path);

/// Appends a JSON string literal, quotes included. Invalid UTF-8 is replaced by U+FFFD.
void append_json_string(std::string& out, std::string_view text);

}  // namespace nibble
