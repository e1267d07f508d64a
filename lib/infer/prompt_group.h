// SPDX-License-Identifier: Apache-2.0
// Which waiting prompts are read at once. Prompts that begin alike, as those with the same examples
// or instruction do, are read as a tree: what they begin with there once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace nibble {

/// Beginnings that are shorter are read with every prompt.
inline constexpr size_t kLeastShared = 64;

/// The first `count` of the waiting prompts, the first `shared` tokens of which are the same; each
/// has more.
struct PromptGroup {
  size_t count = 0, shared = 0;
};

/// At most `slots` prompts and `tokens` tokens, unless the first alone has more. A prompt with
/// which the group would share less than half as much begins the next one.
PromptGroup group_prompts(std::span<const std::vector<int32_t>> waiting, size_t slots,
                          int64_t tokens);

}  // namespace nibble
