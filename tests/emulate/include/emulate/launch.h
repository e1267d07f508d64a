// SPDX-License-Identifier: Apache-2.0
// How kernels/cuda/launch.h hands a kernel to the emulator.
#pragma once

#include <cuda_runtime.h>

namespace nibble::emulate {

struct KernelLaunch {
  const void* kernel;
  const char* name;
  dim3 grid, block;
  size_t shared_bytes;
  cudaStream_t stream;
};

/// Queues `call(kernel, copy of the arguments)` for every thread of the grid.
cudaError_t launch_kernel(const KernelLaunch& launch, const void* arguments, size_t bytes,
                          void (*call)(const void* kernel, const void* arguments));

}  // namespace nibble::emulate
