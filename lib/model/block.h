// SPDX-License-Identifier: Apache-2.0
// One transformer block, forward and backward, written out by hand (pre-norm, as LLaMA and its
// kin):
//   h_in  = previous + delta                     (delta: the block below's MLP output)
//   x1    = rmsnorm(h_in);  q,k,v = qkv(x1);  [q,k normed];  q,k rotated;  a = attention(q,k,v)
//   h_mid = h_in + output(a)
//   x2    = rmsnorm(h_mid);  g,u = gate_up(x2);  m = silu(g) * u;  delta' = down(m)
// The residual stream h and every activation are in the compute type.
#pragma once

#include "kernels/attention.h"
#include "model/batch_place.h"
#include "model/frozen_weights.h"
#include "model/rope_table.h"
#include "model/weights.h"
#include "tensor/arena.h"

namespace nibble {

/// What forward keeps of one block for backward.
struct BlockActivations {
  Tensor h_in, h_mid;     // (N,C)
  Tensor rstd1, rstd2;    // (N) f32
  Tensor x1, x2;          // (N,C) normed; shared scratch where they are recomputed
  Tensor qkv;             // (N,W) after norm and rotation
  Tensor qk_raw;          // (N,(H+K)D) before q/k norm; absent without it
  Tensor rstd_q, rstd_k;  // (N,H), (N,K) f32
  Tensor attention;       // (N,H*D)
  Tensor lse;             // (N,H) f32
  Tensor gate_up;         // (N,2F)
  Tensor act;             // (N,F) silu(g)*u; shared scratch where it is recomputed
  Tensor xa_qkv, xa_output, xa_gate_up, xa_down;  // (N, ranks): the adapters' X A^T
};

/// Scratch shared by all blocks.
struct BlockScratch {
  Tensor delta;        // (N,C) the MLP's output, input of the next block
  Tensor branch;       // (N,C) output projection; gradient of a norm's output
  Tensor x1, x2, act;  // where these are recomputed
  Tensor dwide;        // (N, max(W, F, H*D)) gradient of qkv, of act
  Tensor dattention;   // (N,H*D)
  Tensor attention;    // f32 scratch of the attention op
  WeightBuffers weights;
  LinearContext linear;
};

/// Whether backward finds x1, x2 and act kept, or makes them again.
enum class NormRecompute : bool { kNo, kYes };

struct BlockSizes {
  int64_t tokens = 0;   // N, at most
  int64_t longest = 0;  // longest sequence, at most
  Dtype compute = Dtype::kBf16;
  bool training = false;
  float dropout = 0.0f;
  WeightPlacement weights = {};
  Ahead ahead = Ahead::kNo;
};

/// Takes one block's activations from the arena; with `norm` the recomputed ones come from scratch.
BlockActivations take_activations(Arena& arena, const Model& model, const BlockSizes& sizes,
                                  NormRecompute norm, const BlockScratch& scratch);
BlockScratch take_block_scratch(Arena& arena, const Model& model, const BlockSizes& sizes,
                                NormRecompute norm);
/// The same buffers, cut to n tokens.
BlockActivations first_rows(const BlockActivations& a, int64_t n);

/// How attention is done: over the batch's own sequences (training, prompts) or against a cache.
using AttentionStep = void (*)(void* state, int64_t block, const BlockActivations& a);

struct BlockRun {
  const Model* model = nullptr;
  const Batch* batch = nullptr;
  BatchTensors at;  // the batch where the ops read it
  const RopeTable* rope = nullptr;
  const BlockScratch* scratch = nullptr;
  AttentionStep attend = nullptr;  // null: packed attention over the batch
  void* attend_state = nullptr;
};

/// previous (N,C) and delta (N,C, or absent) in; a and scratch.delta written. `previous` may be
/// a.h_in itself when there is no delta.
void block_forward(const BlockRun& run, int64_t index, const Tensor& previous, const Tensor& delta,
                   const BlockActivations& a);

/// dh (N,C): gradient of the block's output stream in, of its input stream out. Parameters'
/// gradients are added to. `below` false: nothing under this block is trained, dh is not finished.
void block_backward(const BlockRun& run, int64_t index, const Tensor& dh, const BlockActivations& a,
                    NormRecompute norm, bool below);

/// Heads, window and scale of a block's attention.
AttentionShape attention_shape(const ModelConfig& config, int64_t window);

/// The weight of a norm or table in the type that ops read.
Tensor table_weight(const Table& table, const ParameterSet& parameters);

}  // namespace nibble
