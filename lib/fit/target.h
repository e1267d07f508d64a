// SPDX-License-Identifier: Apache-2.0
// What a plan should fit into: a GPU of the catalogue, this machine's, or its processor.
#pragma once

#include "fit/answer.h"

namespace nibble {

struct TargetChoice {
  std::optional<std::string> gpu;  // of the catalogue; none: this machine
  std::string catalogue;           // a file of more GPUs
  std::string device;              // cpu, cuda, cuda:N
  uint64_t limit = 0;              // in place of what there is
  Dtype compute = Dtype::kBf16;
};

/// `notes`: what is to be known beside. The processor is measured (kernels/machine_rates.h). Throws
/// UsageError for a GPU that is not in the catalogue or no device, UnavailableError where this
/// machine has none.
Target find_target(const TargetChoice& choice, std::vector<std::string>& notes);

}  // namespace nibble
