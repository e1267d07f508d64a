// SPDX-License-Identifier: Apache-2.0
// Matrix product: out = alpha * op(a) * op(b) + beta * out, accumulated in fp32, rounded once to
// out's type. On the CPU through oneDNN: f32 always, bf16 where the processor multiplies it
// (AVX-512-BF16, AMX), elsewhere operands are widened to f32 in the caller's scratch first.
#pragma once

#include "tensor/tensor.h"

namespace nibble {

enum class Transpose : bool { kNo, kYes };

struct Matmul {
  Tensor out;  // (M,N) f32 or bf16; row stride free; written, or scaled by beta and added to
  Tensor a;    // (M,K), or (K,M) with a_transpose; f32 or bf16; row stride free
  Tensor b;    // (K,N), or (N,K) with b_transpose; f32 or bf16; row stride free
  Transpose a_transpose = Transpose::kNo;
  Transpose b_transpose = Transpose::kNo;
  float alpha = 1.0f;
  float beta = 0.0f;
  Tensor scratch = {};  // (matmul_scratch_elements) f32; absent where that is 0
};

/// f32 elements of scratch that the product may need on this machine, at most.
int64_t matmul_scratch_elements(const Matmul& op);

void matmul(const Matmul& op, Stream stream = {});

/// Whether this processor multiplies bf16 natively; where not, weights are best dequantised to f32.
bool cpu_has_bf16_matmul();

}  // namespace nibble
