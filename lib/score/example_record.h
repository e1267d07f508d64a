// SPDX-License-Identifier: Apache-2.0
// What metrics read from the records of examples beside their texts: numbers, in the JSON as it
// stands, parsed by the thread that measures the example.
#pragma once

#include <simdjson.h>

#include "score/metric.h"

namespace nibble {

/// The example's record; good until this thread's next call. Throws DataError where it has none or
/// a malformed one.
simdjson::dom::element record_of(const ScoreExample& example);

/// A member's value. Throws DataError 'no "name"'.
simdjson::dom::element member_of(simdjson::dom::element object, std::string_view name);
/// The value as that kind. Throw DataError "expected a number, found string".
double number_of(simdjson::dom::element value);
simdjson::dom::array array_of(simdjson::dom::element value);

}  // namespace nibble
