// SPDX-License-Identifier: Apache-2.0
// Members of tokenizer.json's objects, where null is as good as absent.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string_view>

#include "io/json.h"

namespace nibble::json_tokenizer {

/// The member, or null.
inline const Json& member(const Json& object, std::string_view name) {
  static const Json null;
  const Json* value = object.find(name);
  return value == nullptr ? null : *value;
}

inline bool flag(const Json& object, std::string_view name, bool otherwise = false) {
  const Json& value = member(object, name);
  return value.is_null() ? otherwise : value.as_bool();
}

/// Members that are not known might change ids: throws UnavailableError naming the first.
inline void check_members(const Json& object, std::initializer_list<std::string_view> known,
                          std::string_view what) {
  for (const auto& [name, value] : object.as_object())
    if (std::find(known.begin(), known.end(), name) == known.end())
      throw UnavailableError(cat(what, " member \"", name, "\" is not supported"));
}

}  // namespace nibble::json_tokenizer
