// SPDX-License-Identifier: Apache-2.0
#include "example_kernels.h"

#include "kernels/cuda/launch.h"

namespace nibble::emulate_test {
namespace {

constexpr unsigned kThreads = 256;

__global__ void add_kernel(float* out, const float* a, const float* b, int64_t n) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < n) out[i] = a[i] + b[i];
}

}  // namespace

void add(float* out, const float* a, const float* b, int64_t n, cudaStream_t stream) {
  const auto blocks = static_cast<unsigned>((n + kThreads - 1) / kThreads);
  cuda::launch(add_kernel, {.grid = blocks, .block = kThreads, .stream = stream, .name = "add"},
               out, a, b, n);
}

}  // namespace nibble::emulate_test
