// SPDX-License-Identifier: Apache-2.0
// Kernels that show where elements of a fragment lie: a warp's registers written out.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace nibble::emulate_test {

/// out (32, matrices): the registers of ldmatrix over `rows` (8 * matrices, 8) of 16-bit elements.
void load_matrices(uint32_t* out, const uint16_t* rows, int matrices, bool transposed,
                   cudaStream_t stream);
/// d (32, 4) += a (32, 4) * b (32, 2), registers of the 32 lanes.
void multiply_fragments(float* d, const uint32_t* a, const uint32_t* b, cudaStream_t stream);

/// d (128, 4 tiles) += a * b by wgmma, registers of the 128 threads, tiles 8 or 16 columns each. a
/// and b (bytes) are copied to shared memory as they are, one behind the other, and described with
/// `leading` and `stride` bytes; or, where `down`, a are registers (128, 4) and the sums run down
/// b.
struct Warpgroup {
  float* d;
  const uint32_t *a, *b;
  int tiles, a_bytes, b_bytes, leading, stride;
  bool down;
};
void multiply_warpgroup(const Warpgroup& work, cudaStream_t stream);

/// out (kOps, 32): each collective on value = lane, see the source's order.
inline constexpr int kCollectives = 10;
void collectives(unsigned* out, cudaStream_t stream);

/// out (5): what atomics of `blocks` blocks of 64 threads leave.
void atomics(unsigned* out, float* sum, int blocks, cudaStream_t stream);

/// out[i] = in[i] where i < n, else 0, for i < 128, by cp.async of 16 bytes.
void copy_guarded(int* out, const int* in, int n, cudaStream_t stream);

}  // namespace nibble::emulate_test
