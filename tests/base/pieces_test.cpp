// SPDX-License-Identifier: Apache-2.0
// Loops whose threads take pieces of each other's parts.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include "base/threads.h"

namespace nibble {
namespace {

/// Sets the number of threads for a test.
struct Threads {
  explicit Threads(int count) { set_threads(count); }
  ~Threads() { set_threads(0); }
};

TEST(ParallelPieces, TakeEverythingOnce) {
  for (const int count : {1, 2, 5})
    for (const int64_t n : {0, 1, 2, 7, 64, 1000})
      for (const int64_t grain : {1, 3, 64}) {
        const Threads threads(count);
        std::vector<std::atomic<int>> taken(static_cast<size_t>(n));
        parallel_pieces(n, grain, [&](int64_t begin, int64_t end) {
          EXPECT_EQ(begin % grain, 0);
          EXPECT_LE(end - begin, grain);
          for (int64_t i = begin; i < end; ++i) ++taken[static_cast<size_t>(i)];
        });
        for (const auto& times : taken) EXPECT_EQ(times, 1) << n << " by " << grain;
      }
}

TEST(ParallelPieces, LeaveWhatAThreadIsSlowWithToTheOthers) {
  constexpr int64_t kPieces = 40;
  const Threads threads(2);
  std::array<std::vector<int64_t>, 2> of_thread;
  std::atomic<int64_t> taken = 0;
  const auto late = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  parallel_pieces(kPieces, 1, [&](Pieces& pieces) {
    while (pieces.thread() == 1 && taken == 0 && std::chrono::steady_clock::now() < late)
      std::this_thread::yield();
    for (Pieces::Range piece; pieces.take(piece);) {
      of_thread[static_cast<size_t>(pieces.thread())].push_back(piece.begin);
      ++taken;
      while (pieces.thread() == 0 && taken < kPieces && std::chrono::steady_clock::now() < late)
        std::this_thread::yield();
    }
  });
  EXPECT_EQ(of_thread[0], std::vector<int64_t>{0});
  std::vector<int64_t> rest;  // its own part from the front, then the other's from the back
  for (int64_t i = kPieces / 2; i < kPieces; ++i) rest.push_back(i);
  for (int64_t i = kPieces / 2 - 1; i > 0; --i) rest.push_back(i);
  EXPECT_EQ(of_thread[1], rest);
}

TEST(ParallelPieces, NoMoreThreadsThanAsked) {
  const Threads threads(4);
  std::atomic<int64_t> most = 0, bodies = 0;
  const auto body = [&](Pieces& pieces) {
    ++bodies;
    for (Pieces::Range piece; pieces.take(piece);)
      for (int64_t now = most; now < pieces.thread();)
        if (most.compare_exchange_weak(now, pieces.thread())) break;
  };
  parallel_pieces(1000, 1, body, 2);
  EXPECT_LT(most, 2);
  EXPECT_EQ(bodies, 2);
}

TEST(ParallelPieces, WithinEachOther) {
  const Threads threads(2);
  std::atomic<int64_t> sum = 0;
  parallel_pieces(10, 1, [&](int64_t i, int64_t) {
    parallel_pieces(10, 1, [&](int64_t k, int64_t) { sum += 10 * i + k; });
  });
  EXPECT_EQ(sum, 99 * 100 / 2);
}

TEST(ParallelPieces, AnExceptionComesOut) {
  const Threads threads(2);
  EXPECT_THROW(parallel_pieces(100, 1,
                               [&](int64_t i, int64_t) {
                                 if (i == 70) throw std::runtime_error("seventy");
                               }),
               std::runtime_error);
}

}  // namespace
}  // namespace nibble
