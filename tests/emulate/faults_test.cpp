// SPDX-License-Identifier: Apache-2.0
// Each fault is reported in one line that names it, and its mended twin is not.
#include "faults.h"

#include <gtest/gtest.h>

#include <numeric>

#include "emulate.h"
#include "fixture.h"
#include "kernels/cuda/check.h"

namespace nibble::emulate_test {
namespace {

constexpr int kCount = 1024, kRuns = 8;

class Faults : public testing::TestWithParam<Fault> {};

std::vector<std::string> reports_of(const Fault& fault, bool mended) {
  std::vector<int> values(kCount);
  std::iota(values.begin(), values.end(), 0);
  values[0] = 0;
  DeviceArray<int> data(values);
  const Stream stream;
  bool refused = false;
  try {
    fault.run(mended, data.data(), stream.handle());
  } catch (const Error&) {  // the kernel may have run at once
    refused = true;
  }
  const cudaError_t status = stream.wait();
  EXPECT_FALSE(refused && status == cudaSuccess);
  auto reports = emulate::take_faults();
  EXPECT_EQ(status == cudaSuccess, reports.empty());
  return reports;
}

// Whatever order the threads run in.
TEST_P(Faults, AreReported) {
  for (int i = 0; i < kRuns; ++i) {
    const auto reports = reports_of(GetParam(), false);
    ASSERT_EQ(reports.size(), 1u);
    EXPECT_EQ(reports[0].find("faulty: block ("), 0u) << reports[0];
    EXPECT_NE(reports[0].find(GetParam().report), std::string::npos) << reports[0];
    EXPECT_NE(reports[0].find("; seed "), std::string::npos) << reports[0];
    EXPECT_EQ(reports[0].find('\n'), std::string::npos) << reports[0];
  }
}

TEST_P(Faults, MendedAreNot) {
  for (int i = 0; i < kRuns; ++i) EXPECT_TRUE(reports_of(GetParam(), true).empty());
}

INSTANTIATE_TEST_SUITE_P(Emulate, Faults, testing::ValuesIn(faults()),
                         [](const auto& test) { return std::string(test.param.name); });

INSTANTIATE_TEST_SUITE_P(Wgmma, Faults, testing::ValuesIn(wgmma_faults()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Sticky, NothingRunsAfterAFault) {
  const Fault& fault = faults()[0];
  DeviceArray<int> data(std::vector<int>(kCount, 1));
  const Stream stream;
  EXPECT_THROW(
      {
        fault.run(false, data.data(), stream.handle());
        cuda::check(stream.wait(), "faulty");
      },
      BugError);
  EXPECT_EQ(stream.wait(), cudaErrorIllegalAddress);
  EXPECT_EQ(cudaMemsetAsync(data.data(), 0, 4, stream.handle()), cudaErrorIllegalAddress);
  EXPECT_EQ(cudaGetLastError(), cudaErrorIllegalAddress);
  EXPECT_EQ(emulate::take_faults().size(), 1u);
  EXPECT_EQ(cudaMemsetAsync(data.data(), 0, 4, stream.handle()), cudaSuccess);
  EXPECT_EQ(stream.wait(), cudaSuccess);
}

}  // namespace
}  // namespace nibble::emulate_test
