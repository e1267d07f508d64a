// SPDX-License-Identifier: Apache-2.0
// Causal grouped-query attention over packed sequences (FlashAttention-2: Dao 2023; packing by
// cumulative starts). Query head h reads key/value head h / (H/K). With i, j positions of the same
// sequence, j <= i and (window == 0 or i - j < window):
//   p[i,j] = exp(scale * q_i.k_j - lse_i),  out_i = sum_j p[i,j] v_j,  lse_i = logsumexp_j
// Forward, sequences may share beginnings: a tree instead of a list (`parents`).
// No T x T buffer: tiles of queries against tiles of keys, sequences never meet, tiles wholly
// outside the mask are skipped. Backward recomputes p from lse:
//   delta_i = dout_i . out_i;  ds[i,j] = p[i,j] (dout_i.v_j - delta_i)
//   dq_i = scale sum_j ds[i,j] k_j;  dk_j = scale sum_i ds[i,j] q_i;  dv_j = sum_i p[i,j] dout_i
// Sums over the query heads of a group and over tiles are done in a fixed order. Where products of
// bf16 tensors are of bf16 (CUDA, and CPUs that are fast at it), p and ds are rounded as factors.
#pragma once

#include "tensor/tensor.h"

namespace nibble {

struct AttentionShape {
  int64_t heads = 0;     // H
  int64_t kv_heads = 0;  // K, divides H
  int64_t head_dim = 0;  // D, 1 to 256
  int64_t window = 0;    // 0: unlimited
  float scale = 0.0f;    // usually 1/sqrt(D)
};

struct AttentionForward {
  Tensor out;     // (N, H*D) f32|bf16 written, row stride free
  Tensor lse;     // (N, H) f32 written; absent: not kept
  Tensor qkv;     // (N, (H+2K)*D) as out: q, then k, then v
  Tensor starts;  // (S+1) i32, increasing from 0 to N: sequence s is rows [starts[s], starts[s+1])
  /// (S) i32: sequence s goes on from the end of sequence parents[s] < s, whose rows and parents it
  /// sees, so that what sequences begin with alike is there once; -1: from nothing. Absent: all do.
  Tensor parents;
  AttentionShape shape;
  Tensor scratch;  // (attention_forward_scratch) f32
};

struct AttentionBackward {
  Tensor dqkv;  // (N, (H+2K)*D) f32|bf16 written, row stride free
  Tensor dout;  // (N, H*D) as dqkv
  Tensor out;   // (N, H*D) as dqkv, row stride free
  Tensor qkv;   // (N, (H+2K)*D) as dqkv
  Tensor lse;   // (N, H) f32
  Tensor starts;
  AttentionShape shape;
  Tensor scratch;  // (attention_backward_scratch) f32
};

/// Decoding: one new query a sequence against its cache, the new key and value included.
struct AttentionDecode {
  Tensor out;      // (B, H*D) f32|bf16 written
  Tensor q;        // (B, H*D) as out, row stride free
  Tensor keys;     // (B, P, K*D) f32|bf16: cache, P positions of room a sequence
  Tensor values;   // (B, P, K*D) as keys
  Tensor lengths;  // (B) i32: positions to read, the new one included; 0: the row is idle, out 0
  int64_t longest = 0;  // what no length passes; 0: P
  AttentionShape shape;
  Tensor scratch;  // (attention_decode_scratch) f32
};

/// f32 elements of scratch for up to N rows, or B sequences (the longest being `longest`, at most).
int64_t attention_forward_scratch(const AttentionShape& shape, int64_t longest,
                                  Device device = current_stream().device);
int64_t attention_backward_scratch(const AttentionShape& shape, int64_t n, int64_t longest,
                                   Device device = current_stream().device);
int64_t attention_decode_scratch(const AttentionShape& shape, int64_t batch, int64_t longest,
                                 Device device = current_stream().device);
/// Cached positions that a block of the CUDA half reads, at least, and the most blocks that share a
/// sequence: more positions than that make longer chunks.
inline constexpr int64_t kDecodeChunk = 64, kMostDecodeChunks = 64;
/// In how many chunks sequences of up to `longest` positions are cut.
int64_t decode_chunks(const AttentionShape& shape, int64_t longest);

void attention_forward(const AttentionForward& op, Stream stream = current_stream());
void attention_backward(const AttentionBackward& op, Stream stream = current_stream());
void attention_decode(const AttentionDecode& op, Stream stream = current_stream());

}  // namespace nibble
