// SPDX-License-Identifier: Apache-2.0
// Matrix product: out = alpha * op(a) * op(b) + beta * out, accumulated in fp32, rounded once to
// out's type. On the CPU, bf16 by bf16 goes through oneDNN where the processor multiplies bf16
// (AVX-512-BF16, AMX; ONEDNN_MAX_CPU_ISA is obeyed). All else is computed in f32: operands are
// widened while they are packed for the cache, with the same bits on any number of threads.
// On CUDA cuBLASLt multiplies operands of one type, f32 into f32 and bf16 into either, with its
// workspace in the stream; the algorithm is chosen once for every shape and kept.
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

/// f32 elements of scratch that suffice, with as many threads as are set now, for the product and
/// for any of the same types and transposes that is no larger in M, N and K. Tensors may point
/// nowhere yet.
int64_t matmul_scratch_elements(const Matmul& op);

void matmul(const Matmul& op, Stream stream = current_stream());

/// Whether this processor multiplies bf16 natively, and may (NIBBLE_CPU, ONEDNN_MAX_CPU_ISA).
bool cpu_has_bf16_matmul();

}  // namespace nibble
