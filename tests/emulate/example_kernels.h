// SPDX-License-Identifier: Apache-2.0
// The smallest kernel: what a test of one looks like.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace nibble::emulate_test {

/// out[i] = a[i] + b[i] for i < n.
void add(float* out, const float* a, const float* b, int64_t n, cudaStream_t stream);

}  // namespace nibble::emulate_test
