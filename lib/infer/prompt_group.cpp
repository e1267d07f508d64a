// SPDX-License-Identifier: Apache-2.0
#include "infer/prompt_group.h"

#include <algorithm>

#include "base/common_prefix.h"
#include "base/error.h"

namespace nibble {
namespace {

using Prompt = std::vector<int32_t>;

// How far b begins as a does, its last token left out.
size_t same_beginning(const Prompt& a, const Prompt& b, size_t most) {
  most = std::min({most, a.size() - 1, b.size() - 1});
  return common_prefix(std::span(a).first(most), std::span(b).first(most));
}

}  // namespace

PromptGroup group_prompts(std::span<const Prompt> waiting, size_t slots, int64_t tokens) {
  PromptGroup group;
  size_t sum = 0;  // tokens of all of them
  for (const Prompt& prompt : waiting.first(std::min(slots, waiting.size()))) {
    CHECK(!prompt.empty());
    sum += prompt.size();
    if (group.count == 0) {
      group = {.count = 1};
      continue;
    }
    size_t shared =
        same_beginning(waiting[0], prompt, group.count == 1 ? prompt.size() : group.shared);
    if (shared < kLeastShared) shared = 0;
    if (group.count > 1 && shared < (group.shared + 1) / 2) break;
    if (sum - group.count * shared > static_cast<size_t>(tokens)) break;
    ++group.count;
    group.shared = shared;
  }
  return group;
}

}  // namespace nibble
