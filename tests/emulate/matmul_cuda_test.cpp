// SPDX-License-Identifier: Apache-2.0
// What becomes of a product whose algorithm cuBLASLt then refuses.
#include "kernels/matmul.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "base/error.h"
#include "tensor/memory.h"

namespace nibble {
namespace {

constexpr Device kCuda = {DeviceKind::kCuda, 0};

// (rows, depth) of 1, 2, 3... times a matrix of ones, with NIBBLE_EMULATE_FAULT as said.
std::vector<float> product(int64_t rows, int64_t depth, const char* fault) {
  const OwnedStream stream(kCuda);
  const StreamScope scope(stream.get());
  std::vector<float> a(static_cast<size_t>(rows * depth)), b(static_cast<size_t>(depth), 1.0f);
  std::iota(a.begin(), a.end(), 1.0f);
  std::vector<float> out(static_cast<size_t>(rows));
  const DeviceMemory memory((a.size() + b.size() + out.size() + 192) * sizeof(float), kCuda);
  auto* const base = reinterpret_cast<float*>(memory.data());
  const Tensor left = make_tensor(base, Dtype::kF32, {rows, depth}, kCuda);
  const Tensor right =
      make_tensor(base + (a.size() + 63) / 64 * 64, Dtype::kF32, {depth, 1}, kCuda);
  const Tensor sums = make_tensor(base + (a.size() + 63) / 64 * 64 + (b.size() + 63) / 64 * 64,
                                  Dtype::kF32, {rows, 1}, kCuda);
  copy(left, view(a.data(), {rows, depth}));
  copy(right, view(b.data(), {depth, 1}));
  if (fault) setenv("NIBBLE_EMULATE_FAULT", fault, 1);
  try {
    matmul({.out = sums, .a = left, .b = right});
    unsetenv("NIBBLE_EMULATE_FAULT");
  } catch (...) {
    unsetenv("NIBBLE_EMULATE_FAULT");
    throw;
  }
  copy(view(out.data(), {rows, 1}), sums);
  synchronize();
  return out;
}

TEST(Matmul, TakesTheNextAlgorithmWhereOneIsRefused) {
  const std::vector<float> want = {15.0f, 40.0f, 65.0f};  // sums of 1 to 5, 6 to 10, 11 to 15
  EXPECT_EQ(product(3, 5, "first-algorithm"), want);
  EXPECT_EQ(product(3, 5, nullptr), want);
}

TEST(Matmul, SaysThatNoAlgorithmIsLeft) {
  try {
    product(3, 7, "algorithms");
    FAIL() << "not refused";
  } catch (const UnavailableError& e) {
    EXPECT_EQ(std::string(e.what()).find("matmul: cuBLASLt has no algorithm for (3,1) over 7"), 0u)
        << e.what();
  }
}

}  // namespace
}  // namespace nibble
