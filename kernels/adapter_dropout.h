// SPDX-License-Identifier: Apache-2.0
// Backward through the dropped inputs of low-rank adapters (adapter.h). Each part has a mask of its
// own, elementwise.h's for (N,I), so that its share of dx is no part of another product:
//   dx += sum over the parts p of dropout_p(dxa_p A_p)
// The columns of dxa lie part after part. On CUDA, bf16 whose width and ranks (to 128) are
// multiples of 8, and whose rows start at multiples of 16 bytes, reads and writes dx once, in one
// launch, for up to four parts of ranks to 32, two of ranks to 64 and one of more; anything else,
// and all on the CPU, is a product and a pass a part. A rerun has the same bits.
#pragma once

#include <span>

#include "tensor/tensor.h"

namespace nibble {

struct AdapterDropoutPart {
  Tensor a;             // (R,I) as dx
  uint64_t stream = 0;  // of its mask
};

struct AdapterDropoutBackward {
  Tensor dx;   // (N,I) f32|bf16 added to, row stride free
  Tensor dxa;  // (N, sum of R) as dx, row stride free
  std::span<const AdapterDropoutPart> parts;
  float p = 0.0f;  // of the masks, as of Dropout (elementwise.h); so are the next three
  uint64_t seed = 0, counter = 0;
  Tensor draw;          // (1) i32; absent: 0
  Tensor product;       // (N,I) as dx, dense, written where there is a pass a part
  Tensor scratch = {};  // of the CPU's products (matmul.h)
};

void adapter_dropout_backward(const AdapterDropoutBackward& op, Stream stream = current_stream());

/// The same, a product and a pass a part, on either device.
void adapter_dropout_passes(const AdapterDropoutBackward& op, Stream stream);

}  // namespace nibble
