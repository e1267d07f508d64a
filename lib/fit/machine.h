// SPDX-License-Identifier: Apache-2.0
// What this machine has: its processor, its memory, and its GPUs as NVIDIA's management library
// reports them. The library is opened at run time; without a driver there are no GPUs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nibble {

struct DetectedGpu {
  std::string name;  // as the driver calls it
  uint64_t bytes = 0, free_bytes = 0;
};

std::vector<DetectedGpu> detect_gpus();

/// "Intel(R) Xeon(R) ...", or "CPU" where the kernel does not say.
std::string cpu_name();

}  // namespace nibble
