// SPDX-License-Identifier: Apache-2.0
#include "data/condition.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/quote.h"

namespace nibble {
namespace {

std::optional<double> number_of(std::string_view text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

}  // namespace

Condition::Condition(const std::string& text) : text_(text) {
  const size_t at = text.find_first_of("=<>~");
  std::string field = text.substr(0, at);
  if (at == text.npos) {
    negated_ = field.starts_with('!');
    if (negated_) field.erase(0, 1);
  } else {
    size_t end = at + 1;
    const bool or_equal = end < text.size() && text[end] == '=';
    switch (text[at]) {
      case '<':
        test_ = or_equal ? Test::kLessEqual : Test::kLess;
        end += or_equal;
        break;
      case '>':
        test_ = or_equal ? Test::kMoreEqual : Test::kMore;
        end += or_equal;
        break;
      default:
        test_ = text[at] == '=' ? Test::kEqual : Test::kMatches;
        negated_ = field.ends_with('!');
        if (negated_) field.pop_back();
    }
    operand_ = text.substr(end);
    number_ = number_of(operand_);
    if (test_ != Test::kEqual && test_ != Test::kMatches && !number_)
      throw UsageError(cat("--where=", quote(text), ": ", quote(operand_), " is no number"));
  }
  path_.emplace(field);
  if (test_ != Test::kMatches) return;
  try {
    pattern_ = Pattern::perl(operand_);
  } catch (const DataError& e) {
    throw UsageError(cat("--where=", quote(text), ": ", e.what()));
  }
}

bool Condition::met_by(simdjson::dom::element value) const {
  std::string_view text;
  double number = 0;
  const bool is_text = value.get(text) == simdjson::SUCCESS;
  bool is_number = !is_text && value.get_double().get(number) == simdjson::SUCCESS;
  if (is_text) {
    const std::optional<double> read = number_of(text);
    is_number = read.has_value();
    number = read.value_or(0);
  }
  switch (test_) {
    case Test::kThere:
      return true;
    case Test::kEqual:
      if (is_text) return text == operand_;
      if (value.is_bool()) return operand_ == (bool(value) ? "true" : "false");
      return is_number && number_ && number == *number_;
    case Test::kMatches:
      return is_text && pattern_->find(text, 0).has_value();
    case Test::kLess:
      return is_number && number < *number_;
    case Test::kLessEqual:
      return is_number && number <= *number_;
    case Test::kMore:
      return is_number && number > *number_;
    case Test::kMoreEqual:
      return is_number && number >= *number_;
  }
  return false;
}

bool Condition::holds(simdjson::dom::element record) const {
  thread_local std::vector<simdjson::dom::element> values;
  values.clear();
  path_->find(record, values);
  return negated_ !=
         std::any_of(values.begin(), values.end(), [&](auto value) { return met_by(value); });
}

}  // namespace nibble
