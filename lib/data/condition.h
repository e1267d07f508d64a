// SPDX-License-Identifier: Apache-2.0
// Conditions on a record's fields, as users write them:
//   FIELD        it is there           !FIELD       it is not, or null
//   FIELD=TEXT   equal                 FIELD!=TEXT  not equal, or not there
//   FIELD<N  FIELD<=N  FIELD>N  FIELD>=N            a number, or text that is one
//   FIELD~REGEX  matches somewhere     FIELD!~REGEX nowhere, or not there (Perl's syntax)
// FIELD is a path (members.h); where it leads to several values, one that meets it is enough.
#pragma once

#include <optional>
#include <string>

#include "data/members.h"
#include "text/pattern.h"

namespace nibble {

class Condition {
 public:
  /// Throws UsageError.
  explicit Condition(const std::string& text);

  const std::string& text() const { return text_; }
  /// Whether the record meets it. Throws DataError where a match takes too long.
  bool holds(simdjson::dom::element record) const;

 private:
  enum class Test : uint8_t { kThere, kEqual, kLess, kLessEqual, kMore, kMoreEqual, kMatches };
  bool met_by(simdjson::dom::element value) const;

  std::string text_;
  Test test_ = Test::kThere;
  bool negated_ = false;
  std::string operand_;
  std::optional<double> number_;
  std::optional<Pattern> pattern_;
  std::optional<MemberPath> path_;
};

}  // namespace nibble
