// SPDX-License-Identifier: Apache-2.0
// In programs whose tests run emulated kernels: a fault fails the test that made it, and no other.
#include <gtest/gtest.h>

#include "emulate.h"

namespace nibble::emulate {
namespace {

class FaultListener : public testing::EmptyTestEventListener {
  void OnTestEnd(const testing::TestInfo&) override {
    for (const std::string& fault : take_faults()) ADD_FAILURE() << fault;
  }
};

const bool registered = [] {
  testing::UnitTest::GetInstance()->listeners().Append(new FaultListener);
  return true;
}();

}  // namespace
}  // namespace nibble::emulate
