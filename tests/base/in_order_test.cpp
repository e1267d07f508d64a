// SPDX-License-Identifier: Apache-2.0
// Things are used in order, once each, while no more are held than there is room for, and of
// failures the first in order is the one that is thrown, whatever the number of threads.
#include "base/in_order.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/threads.h"

namespace nibble {
namespace {

class InOrderTest : public ::testing::TestWithParam<int> {
 protected:
  InOrderTest() { set_threads(GetParam()); }
  ~InOrderTest() override { set_threads(0); }
};

void linger(int64_t i) {  // some take longer, so that later ones are made first
  std::this_thread::sleep_for(std::chrono::microseconds(i % 7 == 0 ? 300 : 10));
}

TEST_P(InOrderTest, UsesEachOnceInOrder) {
  for (const int64_t n : {0, 1, 2, 3, 200}) {
    std::vector<int64_t> slots(4, -1), used;
    in_order(
        n, 4,
        [&](int64_t i) {
          linger(i);
          slots[static_cast<size_t>(i % 4)] = i;
        },
        [&](int64_t i) {
          EXPECT_EQ(slots[static_cast<size_t>(i % 4)], i);
          used.push_back(i);
        });
    ASSERT_EQ(std::ssize(used), n);
    for (int64_t i = 0; i < n; ++i) EXPECT_EQ(used[static_cast<size_t>(i)], i);
  }
}

TEST_P(InOrderTest, MakesNoFurtherAheadThanThereIsRoom) {
  std::atomic<int64_t> used = 0, furthest = 0;
  in_order(
      100, 3,
      [&](int64_t i) {
        for (int64_t seen = furthest, ahead = i - used; ahead > seen;)
          if (furthest.compare_exchange_weak(seen, ahead)) break;
      },
      [&](int64_t i) {
        linger(0);
        used = i + 1;
      });
  EXPECT_LE(furthest, 3);  // i + 1 is counted a moment before i's slot is free
}

TEST_P(InOrderTest, ThrowsTheFirstFailureInOrder) {
  for (int again = 0; again < 20; ++again) {
    std::vector<int64_t> used;
    const auto run = [&] {
      in_order(
          100, 8,
          [&](int64_t i) {
            linger(i);
            if (i == 14 || i == 15 || i == 17) throw std::runtime_error(std::to_string(i));
          },
          [&](int64_t i) { used.push_back(i); });
    };
    try {
      run();
      FAIL() << "nothing was thrown";
    } catch (const std::runtime_error& e) {
      EXPECT_STREQ(e.what(), "14");
    }
    EXPECT_EQ(used.size(), 14u);
  }
}

TEST_P(InOrderTest, StopsWhereUsingFails) {
  std::atomic<int> made = 0;
  int used = 0;
  EXPECT_THROW(in_order(
                   1000, 4, [&](int64_t) { ++made; },
                   [&](int64_t i) {
                     if (i == 5) throw std::runtime_error("full");
                     ++used;
                   }),
               std::runtime_error);
  EXPECT_EQ(used, 5);
  EXPECT_LE(made, 5 + 4 + 1);
}

INSTANTIATE_TEST_SUITE_P(Threads, InOrderTest, ::testing::Values(1, 2, 3, 8));

}  // namespace
}  // namespace nibble
