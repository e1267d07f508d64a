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
  uint64_t host_limit = 0;         // likewise, of the host
  Dtype compute = Dtype::kBf16;
};

/// A device that its driver calls so: what the catalogue says of it, if it knows it.
Target known_device(const std::vector<Gpu>& catalogue, const std::string& name, uint64_t bytes);

/// What the host may pin for its own device: kPinnableShare of what is free.
uint64_t pinnable_memory();

/// `notes`: what is to be known beside. The processor is measured (kernels/machine_rates.h). Throws
/// UsageError for a GPU that is not in the catalogue or no device, UnavailableError where this
/// machine has none.
Target find_target(const TargetChoice& choice, std::vector<std::string>& notes);

}  // namespace nibble
