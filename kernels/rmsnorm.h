// SPDX-License-Identifier: Apache-2.0
// RMSNorm (Zhang & Sennrich 2019), with the residual addition before it fused:
//   sum[n,:] = in[n,:] + delta[n,:]                         (only with delta)
//   rstd[n]  = 1 / sqrt(mean_c sum[n,c]^2 + eps)
//   out[n,c] = sum[n,c] * rstd[n] * weight[c]
// Computed in fp32, from the sum as it is stored. Backward, with g[n,c] = dout[n,c] * weight[c] and
// x = sum:
//   din[n,c]  += rstd[n] * (g[n,c] - x[n,c] * rstd[n]^2 * mean_k(g[n,k] * x[n,k]))
//   dweight[c] += sum_n dout[n,c] * x[n,c] * rstd[n]
// Rows may be heads: q/k norm passes (N*H, D) views, with a row stride where heads lie in a wider
// row (see RmsnormHeads).
#pragma once

#include "tensor/tensor.h"

namespace nibble {

struct RmsnormForward {
  Tensor out;     // (N,C) f32|bf16 written, row stride free
  Tensor rstd;    // (N) f32 written; absent: not kept
  Tensor sum;     // (N,C) as in; written with delta (may be `in` itself); absent without delta
  Tensor in;      // (N,C) f32|bf16
  Tensor delta;   // (N,C) as in; absent: none
  Tensor weight;  // (C) f32|bf16
  float eps = 1e-6f;
};

struct RmsnormBackward {
  Tensor din;      // (N,C) f32|bf16 added to, row stride free
  Tensor dweight;  // (C) f32 added to; absent: weight is frozen
  Tensor dout;     // (N,C) as din
  Tensor in;       // (N,C) as din: the sum that was normalised
  Tensor rstd;     // (N) f32
  Tensor weight;   // (C) f32|bf16
};

/// q/k norm (Qwen3): every head of D columns normalised by itself, in place, inside a wider row.
struct RmsnormHeadsForward {
  Tensor inout;   // (N, heads*D) f32|bf16, row stride free; read and written
  Tensor rstd;    // (N, heads) f32 written
  Tensor weight;  // (D) f32|bf16
  float eps = 1e-6f;
};
struct RmsnormHeadsBackward {
  Tensor dinout;   // (N, heads*D) f32|bf16, row stride free: gradient of the output, overwritten by
                   // the gradient of the input
  Tensor dweight;  // (D) f32 added to; absent: frozen
  Tensor in;       // (N, heads*D) as dinout: the input, kept before normalising; row stride free
  Tensor rstd;     // (N, heads) f32
  Tensor weight;   // (D) f32|bf16
};

void rmsnorm_forward(const RmsnormForward& op, Stream stream = current_stream());
void rmsnorm_backward(const RmsnormBackward& op, Stream stream = current_stream());
void rmsnorm_heads_forward(const RmsnormHeadsForward& op, Stream stream = current_stream());
void rmsnorm_heads_backward(const RmsnormHeadsBackward& op, Stream stream = current_stream());

}  // namespace nibble
