// SPDX-License-Identifier: Apache-2.0
// Work behind is done in order, within its room, and its failure reaches whoever adds or finishes.
#include "io/write_behind.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <vector>

namespace nibble::test {
namespace {

TEST(WriteBehind, DoesAllInOrder) {
  std::vector<int> done;
  WriteBehind behind;
  for (int i = 0; i < 1000; ++i) behind.add(1, [&done, i] { done.push_back(i); });
  behind.finish();
  ASSERT_EQ(done.size(), 1000u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(done[static_cast<size_t>(i)], i);
}

TEST(WriteBehind, HoldsNoMoreThanItsRoom) {
  std::atomic<int> held = 0;
  int most = 0;
  WriteBehind behind(3);
  for (int i = 0; i < 200; ++i) {
    const std::shared_ptr<int> thing(new int(++held), [&](int* p) {
      delete p;
      --held;
    });
    behind.add(1, [thing] {});
    most = std::max(most, held.load());
  }
  behind.finish();
  EXPECT_LE(most, 5);      // three behind, the one just added, and one that is being let go
  behind.add(100, [] {});  // alone, more than there is room for
  behind.finish();
}

TEST(WriteBehind, PassesAFailureOnAndStops) {
  std::atomic<int> after = 0;
  WriteBehind behind;
  behind.add(1, [] { throw std::runtime_error("full"); });
  EXPECT_THROW(behind.finish(), std::runtime_error);
  EXPECT_THROW(behind.add(1, [&] { ++after; }), std::runtime_error);
  EXPECT_THROW(behind.finish(), std::runtime_error);
  EXPECT_EQ(after, 0);
}

TEST(WriteBehind, EndsWithWorkUndone) {
  std::vector<int> done;
  {
    WriteBehind behind;
    for (int i = 0; i < 100; ++i) behind.add(1, [&done, i] { done.push_back(i); });
  }
  for (size_t i = 0; i < done.size(); ++i) EXPECT_EQ(done[i], static_cast<int>(i));
}

}  // namespace
}  // namespace nibble::test
