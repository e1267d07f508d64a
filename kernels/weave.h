// SPDX-License-Identifier: Apache-2.0
// Matrices of trained values written into wider ones that products read: LoRA's B right of the
// weights it goes with, its A under them (model/linear.h):
//   out[m,k] = scale * in[m, k - column] for k in [column, column + R), else 0
// The product is rounded once, to out's type. On CUDA all parts are one launch, or as many as the
// table of parts takes (kernel parameters). A rerun has the same bits.
#pragma once

#include <span>

#include "tensor/tensor.h"

namespace nibble {

struct WeavePart {
  Tensor out;          // (M,K) f32|bf16, of one type in all parts, written, row stride free
  Tensor in;           // (M,R) f32, R <= K; absent: out is 0
  int64_t column = 0;  // of out, where in begins
  float scale = 1.0f;
};

struct Weave {
  std::span<const WeavePart> parts;  // which do not overlap
};

void weave(const Weave& op, Stream stream = current_stream());

}  // namespace nibble
