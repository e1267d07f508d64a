// SPDX-License-Identifier: Apache-2.0
// What is wrong with JSON, in simdjson's words, as a part of a message.
#pragma once

#include <simdjson.h>

#include <string>

namespace nibble {

inline std::string json_fault(simdjson::error_code error) {
  std::string text = simdjson::error_message(error);
  while (text.ends_with('.')) text.pop_back();
  return text;
}

}  // namespace nibble
