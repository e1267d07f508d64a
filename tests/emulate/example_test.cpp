// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "emulate.h"
#include "example_kernels.h"
#include "fixture.h"

namespace nibble::emulate_test {
namespace {

TEST(Example, AddsOverManyBlocks) {
  for (const int64_t n : {1, 31, 257, 100'000}) {
    Stream stream;
    std::vector<float> a(static_cast<size_t>(n)), b(a), want(a);
    for (size_t i = 0; i < a.size(); ++i) {
      a[i] = static_cast<float>(i) * 0.5f;
      b[i] = static_cast<float>(i % 7);
      want[i] = a[i] + b[i];
    }
    DeviceArray<float> da(a), db(b), out(n);
    add(out.data(), da.data(), db.data(), n, stream.handle());
    EXPECT_EQ(out.read(stream), want);
  }
  EXPECT_TRUE(emulate::take_faults().empty());
}

}  // namespace
}  // namespace nibble::emulate_test
