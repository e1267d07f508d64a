// SPDX-License-Identifier: Apache-2.0
// Rotary position embedding (Su et al. 2021), in the half-split layout of Hugging Face models: for
// d < D/2 and angle a = position[n] * frequency[d],
//   out[d]       = x[d] * cos a - x[d + D/2] * sin a
//   out[d + D/2] = x[d + D/2] * cos a + x[d] * sin a
// cos a and sin a come from tables, which a scaled variant may have multiplied by its factor.
// Backward rotates by -a, by the same tables.
#pragma once

#include "tensor/tensor.h"

namespace nibble {

enum class Rotation : bool { kForward, kBackward };

struct Rope {
  Tensor inout;          // (N, heads*D) f32|bf16, row stride free; read and written
  Tensor cos;            // (P, D/2) f32: cosine by position
  Tensor sin;            // (P, D/2) f32
  Tensor positions;      // (N) i32, each in [0, P)
  int64_t head_dim = 0;  // D, even
  Rotation rotation = Rotation::kForward;
};

void rope(const Rope& op, Stream stream = current_stream());

}  // namespace nibble
