// SPDX-License-Identifier: Apache-2.0
// Runs a test once on every instruction set that was compiled in and that this machine has.
#pragma once

#include <hwy/targets.h>

#include <string>

#include "support/op_harness.h"

namespace nibble {

/// Calls body(name) with that target chosen (once, where the tests run on another device); the
/// machine's own choice is restored at the end.
template <class Body>
void on_every_target(const Body& body) {
  if (test_device().on_cuda()) return body(std::string("device"));
  struct Restore {
    ~Restore() {
      hwy::SetSupportedTargetsForTest(0);
      hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    }
  } restore;
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    body(std::string(hwy::TargetName(target)));
  }
}

}  // namespace nibble
