// SPDX-License-Identifier: Apache-2.0
#include "model/block.h"

#include <algorithm>
#include <cmath>

#include "kernels/elementwise.h"
#include "kernels/rmsnorm.h"
#include "kernels/rope.h"
#include "kernels/swiglu.h"

namespace nibble {
namespace {

Tensor cut(const Tensor& t, int64_t n) {
  return t && t.dim(0) > n ? rows(t, 0, n) : t;
}

// A scratch buffer seen as (n, width).
Tensor reshaped(const Tensor& buffer, int64_t n, int64_t width) {
  CHECK(buffer.elements() >= n * width);
  return make_tensor(buffer.data, buffer.dtype, {n, width}, buffer.device);
}

Tensor gradient_or_none(const Table& table, const ParameterSet& parameters) {
  return table.parameter >= 0 ? parameters.gradient(table.parameter) : Tensor{};
}

void normalise(const Table& table, const ParameterSet& parameters, float eps, const Tensor& in,
               const Tensor& out, const Tensor& rstd) {
  rmsnorm_forward(
      {.out = out, .rstd = rstd, .in = in, .weight = table_weight(table, parameters), .eps = eps});
}

// Norm of q and k, and rotation, in place in qkv.
void rotate(const BlockRun& run, const Block& block, const BlockActivations& a) {
  const ModelConfig& c = run.model->config;
  const int64_t q = c.heads * c.head_dim, k = c.kv_heads * c.head_dim;
  if (c.qk_norm) {
    const ParameterSet& parameters = run.model->parameters;
    const float eps = static_cast<float>(c.norm_eps);
    if (a.qk_raw) accumulate({.out = a.qk_raw, .in = columns(a.qkv, 0, q + k), .beta = 0.0f});
    rmsnorm_heads_forward({.inout = columns(a.qkv, 0, q),
                           .rstd = a.rstd_q,
                           .weight = table_weight(block.q_norm, parameters),
                           .eps = eps});
    rmsnorm_heads_forward({.inout = columns(a.qkv, q, k),
                           .rstd = a.rstd_k,
                           .weight = table_weight(block.k_norm, parameters),
                           .eps = eps});
  }
  rope({.inout = columns(a.qkv, 0, q + k),
        .cos = run.rope->cos_tensor(),
        .sin = run.rope->sin_tensor(),
        .positions = run.at.positions,
        .head_dim = c.head_dim});
}

}  // namespace

AttentionShape attention_shape(const ModelConfig& config, int64_t window) {
  return {.heads = config.heads,
          .kv_heads = config.kv_heads,
          .head_dim = config.head_dim,
          .window = window,
          .scale = 1.0f / std::sqrt(static_cast<float>(config.head_dim))};
}

Tensor table_weight(const Table& table, const ParameterSet& parameters) {
  return table.parameter >= 0 ? parameters.compute(table.parameter) : table.weight;
}

BlockScratch take_block_scratch(Arena& arena, const Model& model, const BlockSizes& s,
                                NormRecompute norm) {
  const ModelConfig& c = model.config;
  const int64_t n = s.tokens, q = c.heads * c.head_dim, w = c.qkv_width();
  const int64_t f = c.intermediate_size;
  BlockScratch out;
  out.delta = arena.take(s.compute, {n, c.hidden_size});
  out.branch = arena.take(s.compute, {n, c.hidden_size});
  if (norm == NormRecompute::kYes) {
    out.x1 = arena.take(s.compute, {n, c.hidden_size});
    out.x2 = out.x1;  // never alive together
    out.act = arena.take(s.compute, {n, f});
  }
  if (s.training) {
    out.dwide = arena.take(s.compute, {n, std::max(w, f)});
    out.dattention = arena.take(s.compute, {n, q});
  }
  int64_t matmul = 0, lora = 0, widest = 0, attention = 0;
  for (const Block& b : model.blocks) {
    const AttentionShape shape = attention_shape(model.config, b.window);
    attention = std::max(attention, attention_forward_scratch(shape, s.longest, arena.device()));
    if (s.training)
      attention =
          std::max(attention, attention_backward_scratch(shape, n, s.longest, arena.device()));
    for (const LinearGroup* g : b.groups()) {
      matmul = std::max(matmul, linear_matmul_scratch(*g, model.parameters, n, s.compute,
                                                      s.training, arena.device()));
      lora = std::max(lora, g->lora_width(model.parameters));
      if (g->adapted()) widest = std::max(widest, g->in_features());
    }
  }
  out.attention = arena.take(Dtype::kF32, {attention});
  out.linear.parameters = &model.parameters;
  out.linear.compute = s.compute;
  out.weights = take_weight_buffers(arena, model, s.weights, s.compute, s.ahead);
  out.linear.panel = out.weights.panels[0];
  out.linear.matmul_scratch = arena.take(Dtype::kF32, {matmul});
  if (lora > 0) out.linear.lora_scratch = arena.take(s.compute, {n, lora});
  if (s.dropout > 0 && widest > 0) out.linear.dropout_scratch = arena.take(s.compute, {n, widest});
  return out;
}

BlockActivations take_activations(Arena& arena, const Model& model, const BlockSizes& s,
                                  NormRecompute norm, const BlockScratch& scratch) {
  const ModelConfig& c = model.config;
  const int64_t n = s.tokens, q = c.heads * c.head_dim;
  const bool shared = norm == NormRecompute::kYes;
  const auto take = [&](int64_t width) { return arena.take(s.compute, {n, width}); };
  BlockActivations a;
  a.h_in = take(c.hidden_size);
  a.h_mid = take(c.hidden_size);
  a.rstd1 = arena.take(Dtype::kF32, {n});
  a.rstd2 = arena.take(Dtype::kF32, {n});
  a.x1 = shared ? scratch.x1 : take(c.hidden_size);
  a.x2 = shared ? scratch.x2 : take(c.hidden_size);
  a.qkv = take(c.qkv_width());
  if (c.qk_norm) {
    if (s.training) a.qk_raw = take((c.heads + c.kv_heads) * c.head_dim);
    a.rstd_q = arena.take(Dtype::kF32, {n, c.heads});
    a.rstd_k = arena.take(Dtype::kF32, {n, c.kv_heads});
  }
  a.attention = take(q);
  a.lse = arena.take(Dtype::kF32, {n, c.heads});
  a.gate_up = take(2 * c.intermediate_size);
  a.act = shared ? scratch.act : take(c.intermediate_size);
  // Blocks may differ in what is adapted; buffers are for the widest.
  int64_t widths[4] = {};
  for (const Block& b : model.blocks) {
    const auto groups = b.groups();
    for (size_t i = 0; i < groups.size(); ++i)
      widths[i] = std::max(widths[i], groups[i]->lora_width(model.parameters));
  }
  Tensor* xa[4] = {&a.xa_qkv, &a.xa_output, &a.xa_gate_up, &a.xa_down};
  for (int i = 0; i < 4; ++i)
    if (widths[i] > 0) *xa[i] = take(widths[i]);
  return a;
}

BlockActivations first_rows(const BlockActivations& a, int64_t n) {
  BlockActivations out = a;
  for (Tensor* t : {&out.h_in, &out.h_mid, &out.rstd1, &out.rstd2, &out.x1, &out.x2, &out.qkv,
                    &out.qk_raw, &out.rstd_q, &out.rstd_k, &out.attention, &out.lse, &out.gate_up,
                    &out.act, &out.xa_qkv, &out.xa_output, &out.xa_gate_up, &out.xa_down})
    *t = cut(*t, n);
  return out;
}

namespace {

// The buffer as this group's (n, ranks): blocks may have fewer adapters than the widest.
Tensor xa_of(const LinearGroup& group, const ParameterSet& parameters, const Tensor& buffer) {
  const int64_t width = group.lora_width(parameters);
  return width == 0 ? Tensor{} : reshaped(buffer, buffer.dim(0), width);
}

}  // namespace

void block_forward(const BlockRun& run, int64_t index, const Tensor& previous, const Tensor& delta,
                   const BlockActivations& a) {
  const Model& model = *run.model;
  const Block& block = model.blocks[static_cast<size_t>(index)];
  const ParameterSet& parameters = model.parameters;
  const BlockScratch& s = *run.scratch;
  const float eps = static_cast<float>(model.config.norm_eps);
  const int64_t n = run.batch->tokens();

  rmsnorm_forward({.out = a.x1,
                   .rstd = a.rstd1,
                   .sum = delta ? a.h_in : Tensor{},
                   .in = previous,
                   .delta = delta,
                   .weight = table_weight(block.attention_norm, parameters),
                   .eps = eps});
  linear_forward(block.qkv, {.y = a.qkv, .xa = xa_of(block.qkv, parameters, a.xa_qkv), .x = a.x1},
                 s.linear);
  rotate(run, block, a);
  if (run.attend)
    run.attend(run.attend_state, index, a);
  else
    attention_forward({.out = a.attention,
                       .lse = a.lse,
                       .qkv = a.qkv,
                       .starts = run.at.starts,
                       .parents = run.at.parents,
                       .shape = attention_shape(model.config, block.window),
                       .scratch = s.attention});
  const Tensor branch = cut(s.branch, n);
  linear_forward(
      block.output,
      {.y = branch, .xa = xa_of(block.output, parameters, a.xa_output), .x = a.attention},
      s.linear);
  rmsnorm_forward({.out = a.x2,
                   .rstd = a.rstd2,
                   .sum = a.h_mid,
                   .in = a.h_in,
                   .delta = branch,
                   .weight = table_weight(block.mlp_norm, parameters),
                   .eps = eps});
  linear_forward(block.gate_up,
                 {.y = a.gate_up, .xa = xa_of(block.gate_up, parameters, a.xa_gate_up), .x = a.x2},
                 s.linear);
  swiglu_forward({.out = a.act, .gate_up = a.gate_up});
  linear_forward(block.down,
                 {.y = cut(s.delta, n), .xa = xa_of(block.down, parameters, a.xa_down), .x = a.act},
                 s.linear);
}

void block_backward(const BlockRun& run, int64_t index, const Tensor& dh, const BlockActivations& a,
                    NormRecompute norm, bool below) {
  const Model& model = *run.model;
  const ModelConfig& c = model.config;
  const Block& block = model.blocks[static_cast<size_t>(index)];
  const ParameterSet& parameters = model.parameters;
  const BlockScratch& s = *run.scratch;
  const float eps = static_cast<float>(c.norm_eps);
  const int64_t n = run.batch->tokens();
  const int64_t q = c.heads * c.head_dim, k = c.kv_heads * c.head_dim;
  const bool again = norm == NormRecompute::kYes;
  const Tensor dbranch = cut(s.branch, n);

  // MLP: dh is the gradient of down's output as well as of the stream beside it.
  if (again) swiglu_forward({.out = a.act, .gate_up = a.gate_up});
  const Tensor dact = reshaped(s.dwide, n, c.intermediate_size);
  linear_backward(
      block.down,
      {.dx = dact, .dy = dh, .x = a.act, .xa = xa_of(block.down, parameters, a.xa_down)}, s.linear);
  swiglu_backward({.dgate_up = a.gate_up, .dout = dact, .gate_up = a.gate_up});
  if (again) normalise(block.mlp_norm, parameters, eps, a.h_mid, a.x2, a.rstd2);
  linear_backward(block.gate_up,
                  {.dx = dbranch,
                   .dy = a.gate_up,
                   .x = a.x2,
                   .xa = xa_of(block.gate_up, parameters, a.xa_gate_up)},
                  s.linear);
  rmsnorm_backward({.din = dh,
                    .dweight = gradient_or_none(block.mlp_norm, parameters),
                    .dout = dbranch,
                    .in = a.h_mid,
                    .rstd = a.rstd2,
                    .weight = table_weight(block.mlp_norm, parameters)});

  // Attention.
  const Tensor dattention = cut(s.dattention, n);
  linear_backward(block.output,
                  {.dx = dattention,
                   .dy = dh,
                   .x = a.attention,
                   .xa = xa_of(block.output, parameters, a.xa_output)},
                  s.linear);
  const Tensor dqkv = reshaped(s.dwide, n, c.qkv_width());
  attention_backward({.dqkv = dqkv,
                      .dout = dattention,
                      .out = a.attention,
                      .qkv = a.qkv,
                      .lse = a.lse,
                      .starts = run.at.starts,
                      .shape = attention_shape(model.config, block.window),
                      .scratch = s.attention});
  rope({.inout = columns(dqkv, 0, q + k),
        .cos = run.rope->cos_tensor(),
        .sin = run.rope->sin_tensor(),
        .positions = run.at.positions,
        .head_dim = c.head_dim,
        .rotation = Rotation::kBackward});
  if (c.qk_norm) {
    rmsnorm_heads_backward({.dinout = columns(dqkv, 0, q),
                            .dweight = gradient_or_none(block.q_norm, parameters),
                            .in = columns(a.qk_raw, 0, q),
                            .rstd = a.rstd_q,
                            .weight = table_weight(block.q_norm, parameters)});
    rmsnorm_heads_backward({.dinout = columns(dqkv, q, k),
                            .dweight = gradient_or_none(block.k_norm, parameters),
                            .in = columns(a.qk_raw, q, k),
                            .rstd = a.rstd_k,
                            .weight = table_weight(block.k_norm, parameters)});
  }
  if (again) normalise(block.attention_norm, parameters, eps, a.h_in, a.x1, a.rstd1);
  const bool norm_trained = block.attention_norm.parameter >= 0;
  linear_backward(block.qkv,
                  {.dx = below || norm_trained ? dbranch : Tensor{},
                   .dy = dqkv,
                   .x = a.x1,
                   .xa = xa_of(block.qkv, parameters, a.xa_qkv)},
                  s.linear);
  if (below || norm_trained)
    rmsnorm_backward({.din = dh,
                      .dweight = gradient_or_none(block.attention_norm, parameters),
                      .dout = dbranch,
                      .in = a.h_in,
                      .rstd = a.rstd1,
                      .weight = table_weight(block.attention_norm, parameters)});
}

}  // namespace nibble
