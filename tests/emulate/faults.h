// SPDX-License-Identifier: Apache-2.0
// Kernels with one fault each, and their mended twins.
#pragma once

#include <cuda_runtime.h>

#include <ostream>
#include <vector>

namespace nibble::emulate_test {

struct Fault {
  const char* name;
  const char* report;  // what stands in it
  /// Queues the kernel, mended or not, on `stream`; `data` are 1024 ints on the device, i at i.
  void (*run)(bool mended, int* data, cudaStream_t stream);
};

inline std::ostream& operator<<(std::ostream& out, const Fault& fault) {
  return out << fault.name;
}

const std::vector<Fault>& faults();
const std::vector<Fault>& wgmma_faults();

}  // namespace nibble::emulate_test
