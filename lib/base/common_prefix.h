// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>

namespace nibble {

/// How many elements both texts or lists begin with.
template <class A, class B>
size_t common_prefix(const A& a, const B& b) {
  return static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first -
                             a.begin());
}

}  // namespace nibble
