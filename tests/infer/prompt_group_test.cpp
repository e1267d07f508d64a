// SPDX-License-Identifier: Apache-2.0
#include "infer/prompt_group.h"

#include <gtest/gtest.h>

#include <numeric>

namespace nibble {
namespace {

using Prompts = std::vector<std::vector<int32_t>>;

// `shared` tokens that all such prompts begin with, and others that none else has.
std::vector<int32_t> prompt(size_t shared, size_t own, int32_t name) {
  std::vector<int32_t> out(shared);
  std::iota(out.begin(), out.end(), 0);
  out.insert(out.end(), own, 1000 + name);
  return out;
}

void expect(const Prompts& prompts, size_t slots, int64_t tokens, PromptGroup expected) {
  const PromptGroup group = group_prompts(prompts, slots, tokens);
  EXPECT_EQ(group.count, expected.count);
  EXPECT_EQ(group.shared, expected.shared);
}

TEST(PromptGroup, CountsASharedBeginningOnce) {
  const Prompts prompts = {prompt(100, 10, 1), prompt(100, 10, 2), prompt(100, 10, 3)};
  expect(prompts, 8, 130, {3, 100});
  expect(prompts, 8, 129, {2, 100});
  expect(prompts, 2, 130, {2, 100});
  expect(prompts, 8, 1, {1, 0});
  expect(prompts, 0, 130, {0, 0});
  expect({}, 8, 130, {0, 0});
}

TEST(PromptGroup, LeavesEachPromptATokenOfItsOwn) {
  expect({prompt(100, 0, 1), prompt(100, 0, 2)}, 8, 1000, {2, 99});
  expect({prompt(100, 5, 1), prompt(80, 0, 2)}, 8, 1000, {2, 79});
}

TEST(PromptGroup, SharesNoShortBeginning) {
  expect({prompt(kLeastShared, 1, 1), prompt(kLeastShared, 1, 2)}, 8, 1000, {2, kLeastShared});
  expect({prompt(kLeastShared - 1, 1, 1), prompt(kLeastShared - 1, 1, 2)}, 8, 1000, {2, 0});
  // Then every prompt counts whole.
  expect({prompt(10, 10, 1), prompt(10, 10, 2), prompt(10, 10, 3)}, 8, 59, {2, 0});
  expect({prompt(0, 1, 1), prompt(0, 1, 2)}, 8, 1000, {2, 0});
}

TEST(PromptGroup, EndsWhereMuchLessWouldBeShared) {
  const Prompts prompts = {prompt(200, 10, 1), prompt(200, 10, 2), prompt(100, 10, 3),
                           prompt(99, 10, 4), prompt(30, 10, 5)};
  expect(prompts, 8, 10000, {4, 99});
  expect({prompts[0], prompts[1], prompts[3]}, 8, 10000, {2, 200});
  expect({prompts[0], prompts[1], prompts[4]}, 8, 10000, {2, 200});
}

}  // namespace
}  // namespace nibble
