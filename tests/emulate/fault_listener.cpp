// SPDX-License-Identifier: Apache-2.0
// In programs whose tests run emulated kernels: a fault fails the test that made it, and no other.
// So does attention on wgmma that is given up for its results, which no result would tell.
#include <emulate/mutant.h>
#include <gtest/gtest.h>

#include "base/notice.h"
#include "emulate.h"
#include "support/op_harness.h"

namespace nibble::emulate {
namespace {

class FaultListener : public testing::EmptyTestEventListener {
  void OnTestEnd(const testing::TestInfo& test) override {
    for (const std::string& fault : take_faults()) ADD_FAILURE() << fault;
    const std::string name = std::string(test.test_suite_name()) + "." + test.name();
    end_test(name.c_str(), test.result()->Passed());
  }
};

const bool registered = [] {
  testing::UnitTest::GetInstance()->listeners().Append(new FaultListener);
  take_away = withhold;
  on_notice([](std::string_view text) {
    if (text.find("wgmma") != text.npos) ADD_FAILURE() << text;
  });
  return true;
}();

}  // namespace
}  // namespace nibble::emulate
