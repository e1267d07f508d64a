// SPDX-License-Identifier: Apache-2.0
// What queries and keys go through between their projection and attention, in one pass: RMSNorm of
// each head (rmsnorm.h) where a model has it, rotation (rope.h), and, while decoding, the storing
// of the new key and value (store_cache.h). Backward goes the same way back.
// On the CPU these are the ops named, one after another. On CUDA they are one kernel that reads and
// writes each tensor once and rounds once, for heads of up to 256 columns whose halves are whole
// accesses of four elements; for others, and without norm or cache, the ops named.
#pragma once

#include "tensor/tensor.h"

namespace nibble {

struct QkForward {
  Tensor inout;               // (N, (H+K)*D) f32|bf16, row stride free; read and written
  Tensor raw;                 // (N, (H+K)*D) as inout, written: what came in; absent: not kept
  Tensor rstd_q, rstd_k;      // (N,H), (N,K) f32 written; absent without norm
  Tensor q_weight, k_weight;  // (D) f32|bf16; absent: no norm
  float eps = 1e-6f;
  Tensor cos, sin;   // (P, D/2) f32
  Tensor positions;  // (N) i32, each in [0, P)
  int64_t heads = 0, kv_heads = 0;
  Tensor v;             // (N, K*D) as inout, row stride free; with a cache alone
  Tensor keys, values;  // (N, room, K*D) as inout: a position of each row written; absent: no cache
  Tensor lengths;       // (N) i32: positions with the new one; 0: the row is idle
};

struct QkBackward {
  Tensor dinout;                // (N, (H+K)*D) f32|bf16, row stride free; read and written
  Tensor raw;                   // (N, (H+K)*D) as dinout; absent without norm
  Tensor rstd_q, rstd_k;        // (N,H), (N,K) f32; absent without norm
  Tensor q_weight, k_weight;    // (D) f32|bf16; absent: no norm
  Tensor dq_weight, dk_weight;  // (D) f32 added to; absent: frozen
  Tensor cos, sin;              // (P, D/2) f32
  Tensor positions;             // (N) i32
  int64_t heads = 0, kv_heads = 0;
};

void qk_forward(const QkForward& op, Stream stream = current_stream());
void qk_backward(const QkBackward& op, Stream stream = current_stream());

/// The same, an op after another, on either device.
void qk_in_turn(const QkForward& op, Stream stream);
void qk_in_turn(const QkBackward& op, Stream stream);

}  // namespace nibble
