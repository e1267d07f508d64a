// SPDX-License-Identifier: Apache-2.0
#include "kernels/minhash.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

#include "base/rng.h"

namespace nibble {
namespace {

uint32_t mix(uint32_t x) {
  x *= 0x85ebca6bu;
  x ^= x >> 13;
  x *= 0xc2b2ae35u;
  return x ^ x >> 16;
}

TEST(MinHash, IsTheSmallestValueUnderEveryFunction) {
  Rng rng(1);
  for (const size_t functions : {1, 3, 7, 15, 16, 17, 108, 128}) {
    for (const size_t count : {0, 1, 2, 13, 200}) {
      std::vector<uint32_t> seeds(functions), items(count);
      for (uint32_t& s : seeds) s = rng.next_u32();
      for (uint32_t& i : items) i = rng.next_u32();
      std::vector<uint32_t> minima(functions + 2, 0xABCDEF01);  // canaries at both ends
      minhash({.minima = std::span(minima).subspan(1, functions), .seeds = seeds, .items = items});
      for (size_t k = 0; k < functions; ++k) {
        uint32_t want = ~0u;
        for (const uint32_t i : items) want = std::min(want, mix(i ^ seeds[k]));
        ASSERT_EQ(minima[k + 1], want) << functions << " functions, " << count << " items, " << k;
      }
      EXPECT_EQ(minima.front(), 0xABCDEF01u);
      EXPECT_EQ(minima.back(), 0xABCDEF01u);
    }
  }
}

// The share of functions in which two sets agree estimates their Jaccard similarity.
TEST(MinHash, AgreesAsOftenAsSetsAreAlike) {
  constexpr size_t kFunctions = 128, kPairs = 200;
  Rng rng(2);
  std::vector<uint32_t> seeds(kFunctions);
  for (uint32_t& s : seeds) s = rng.next_u32();
  for (const size_t shared : {10, 50, 90}) {  // of 100 items in each
    size_t agree = 0;
    for (size_t pair = 0; pair < kPairs; ++pair) {
      std::vector<uint32_t> a(100), b(100), first(kFunctions), second(kFunctions);
      for (uint32_t& x : a) x = rng.next_u32();
      for (uint32_t& x : b) x = rng.next_u32();
      std::copy_n(a.begin(), shared, b.begin());
      minhash({.minima = first, .seeds = seeds, .items = a});
      minhash({.minima = second, .seeds = seeds, .items = b});
      for (size_t k = 0; k < kFunctions; ++k) agree += first[k] == second[k];
    }
    const double jaccard = static_cast<double>(shared) / static_cast<double>(200 - shared);
    const double trials = kFunctions * kPairs;
    EXPECT_NEAR(static_cast<double>(agree) / trials, jaccard,
                5 * std::sqrt(jaccard * (1 - jaccard) / trials));
  }
}

}  // namespace
}  // namespace nibble
