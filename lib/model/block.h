// SPDX-License-Identifier: Apache-2.0
// One transformer block, forward and backward, written out by hand (pre-norm, as LLaMA and its
// kin):
//   h_in  = previous + delta                     (delta: the block below's MLP output)
//   x1    = rmsnorm(h_in);  q,k,v = qkv(x1);  [q,k normed];  q,k rotated;  a = attention(q,k,v)
//   h_mid = h_in + output(a)
//   x2    = rmsnorm(h_mid);  g,u = gate_up(x2);  m = silu(g) * u;  delta' = down(m)
// The residual stream h and every activation are in the compute type. The MLP, whose activations
// are the widest, is done for kMlpRows tokens at a time, so that a long context needs them for few.
#pragma once

#include "kernels/attention.h"
#include "model/batch_place.h"
#include "model/frozen_weights.h"
#include "model/rope_table.h"
#include "model/weights.h"
#include "tensor/arena.h"

namespace nibble {

/// What forward keeps of one block for backward. Where adapters are woven into the weights
/// (linear.h), rows of x1, attention, x2 and act have room for X A^T on their right, and xa is
/// there alone where backward does not find it in that place; gate_up has room for its gradient's
/// where they are woven backward too.
struct BlockActivations {
  Tensor h_in, h_mid;     // (N,C)
  Tensor rstd1, rstd2;    // (N) f32
  Tensor x1, x2;          // (N,C) normed; shared scratch where they are made again
  Tensor qkv;             // (N,W) after norm and rotation
  Tensor qk_raw;          // (N,(H+K)D) before q/k norm; absent without it
  Tensor rstd_q, rstd_k;  // (N,H), (N,K) f32
  Tensor attention;       // (N,H*D)
  Tensor lse;             // (N,H) f32
  Tensor gate_up;         // (N,2F); of kMlpRows tokens where the MLP is made again
  Tensor act;             // (N,F) silu(g)*u; shared scratch of kMlpRows where it is made again
  Tensor xa_qkv, xa_output, xa_gate_up, xa_down;  // (N, ranks): the adapters' X A^T
};

/// Scratch shared by all blocks.
struct BlockScratch {
  Tensor delta;        // (N,C) the MLP's output, input of the next block
  Tensor branch;       // (N,C) output projection; gradient of a norm's output
  Tensor x1, x2, act;  // where these are made again
  Tensor dwide;        // (N,W) gradient of qkv; (rows of the MLP, F) of act
  Tensor dattention;   // (N,H*D) where delta is, which backward does not need
  Tensor attention;    // f32 scratch of the attention op
  WeightBuffers weights;
  LinearContext linear;
  int64_t mlp_rows = 0;  // tokens that the MLP is done for at a time
  // Of each group's adapters: blocks may differ in what is adapted, buffers are for the widest.
  std::array<int64_t, Block::kGroups> lora_widths{};
  /// Elements of a row of `width` that one of these groups reads, with room for their adapters
  /// where these are woven forward; of the gradient of what it gives, where also backward.
  int64_t row(int64_t width, std::initializer_list<size_t> groups) const;
  int64_t gradient_row(int64_t width, std::initializer_list<size_t> groups) const;
};

/// Where a block's groups are in lora_widths.
inline constexpr size_t kQkv = 0, kOutput = 1, kGateUp = 2, kDown = 3;

/// What backward does not find kept but makes again: the outputs of norms and of SwiGLU; or these
/// and all of the MLP.
enum class Remade : uint8_t { kNothing, kNorms, kMlp };

inline constexpr int64_t kMlpRows = 8192;

struct BlockSizes {
  int64_t tokens = 0;   // N, at most
  int64_t longest = 0;  // longest sequence, at most
  Dtype compute = Dtype::kBf16;
  bool training = false;
  float dropout = 0.0f;
  int64_t mlp_rows = kMlpRows;  // a multiple of 4
  WeightPlacement weights = {};
  Ahead ahead = Ahead::kNo;
};

/// In which passes a step of these sizes carries adapters inside the products of the weights, where
/// a group's are such that it can (weavable()). That is FrozenWeights' to do.
Weaves weaves(const BlockSizes& sizes, Device device);

/// Takes one block's activations from the arena; those that are made again come from scratch.
BlockActivations take_activations(Arena& arena, const Model& model, const BlockSizes& sizes,
                                  Remade remade, const BlockScratch& scratch);
BlockScratch take_block_scratch(Arena& arena, const Model& model, const BlockSizes& sizes,
                                Remade remade);
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
  // While decoding, every block's cache (N or more, room, K*D), which each row's key and value join
  // as the last of at.lengths positions.
  std::span<const Tensor> keys = {}, values = {};
  AttentionStep attend = nullptr;  // null: packed attention over the batch
  void* attend_state = nullptr;
};

/// How much of the MLP forward does: all; all but its output, which nobody reads where a block is
/// made again for its own backward; nothing, where backward makes it again.
enum class MlpForward : uint8_t { kAll, kNoOutput, kNone };

/// Whether a backward pass reads what forward leaves.
enum class ReadBack : bool { kNo, kYes };

/// previous (N,C) and delta (N,C, or absent) in; a and scratch.delta written. `previous` may be
/// a.h_in itself when there is no delta.
void block_forward(const BlockRun& run, int64_t index, const Tensor& previous, const Tensor& delta,
                   const BlockActivations& a, MlpForward mlp = MlpForward::kAll,
                   ReadBack read_back = ReadBack::kNo);

/// stream (N, C and room for the adapters of output and down): gradient of the block's output
/// stream in, of its input stream out. Parameters' gradients are added to. With Remade::kMlp, x2 is
/// what this block's forward left. `below` false: nothing under this block is trained, it is not
/// finished.
void block_backward(const BlockRun& run, int64_t index, const Tensor& stream,
                    const BlockActivations& a, Remade remade, bool below);

/// Heads, window and scale of a block's attention.
AttentionShape attention_shape(const ModelConfig& config, int64_t window);

/// The weight of a norm or table in the type that ops read.
Tensor table_weight(const Table& table, const ParameterSet& parameters);

}  // namespace nibble
