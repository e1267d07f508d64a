// SPDX-License-Identifier: Apache-2.0
// Notices reach who listens, each text once.
#include "base/notice.h"

#include <gtest/gtest.h>

#include <vector>

namespace nibble {
namespace {

TEST(Notice, IsSaidOnceToWhoListens) {
  notice("nobody listens");
  std::vector<std::string> heard;
  on_notice([&](std::string_view text) { heard.emplace_back(text); });
  notice("first");
  notice("second");
  notice("first");
  notice("nobody listens");  // it was not heard before
  on_notice(nullptr);
  notice("third");
  EXPECT_EQ(heard, (std::vector<std::string>{"first", "second", "nobody listens"}));
}

}  // namespace
}  // namespace nibble
