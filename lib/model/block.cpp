// SPDX-License-Identifier: Apache-2.0
#include "model/block.h"

#include <algorithm>
#include <cmath>

#include "kernels/elementwise.h"
#include "kernels/qk.h"
#include "kernels/rmsnorm.h"
#include "kernels/swiglu.h"
#include "model/buffer_rows.h"

namespace nibble {
namespace {

Tensor gradient_or_none(const Table& table, const ParameterSet& parameters) {
  return table.parameter >= 0 ? parameters.gradient(table.parameter) : Tensor{};
}

void normalise(const Table& table, const ParameterSet& parameters, float eps, const Tensor& in,
               const Tensor& out, const Tensor& rstd) {
  rmsnorm_forward(
      {.out = out, .rstd = rstd, .in = in, .weight = table_weight(table, parameters), .eps = eps});
}

// Norm of q and k, and rotation, in place in qkv; while decoding, they join the cache.
void rotate(const BlockRun& run, int64_t index, const BlockActivations& a) {
  const ModelConfig& c = run.model->config;
  const Block& block = run.model->blocks[static_cast<size_t>(index)];
  const int64_t q = c.heads * c.head_dim, k = c.kv_heads * c.head_dim, n = a.qkv.dim(0);
  QkForward op = {.inout = columns(a.qkv, 0, q + k),
                  .cos = run.rope->cos_tensor(),
                  .sin = run.rope->sin_tensor(),
                  .positions = run.at.positions,
                  .heads = c.heads,
                  .kv_heads = c.kv_heads};
  if (c.qk_norm) {
    op.raw = a.qk_raw;
    op.rstd_q = a.rstd_q;
    op.rstd_k = a.rstd_k;
    op.q_weight = table_weight(block.q_norm, run.model->parameters);
    op.k_weight = table_weight(block.k_norm, run.model->parameters);
    op.eps = static_cast<float>(c.norm_eps);
  }
  if (!run.keys.empty()) {
    op.v = columns(a.qkv, q + k, k);
    op.keys = rows(run.keys[static_cast<size_t>(index)], 0, n);
    op.values = rows(run.values[static_cast<size_t>(index)], 0, n);
    op.lengths = run.at.lengths;
  }
  qk_forward(op);
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

namespace {

// What a group reads, and its adapters' X A^T. Blocks may have fewer adapters than the widest.
struct Input {
  Tensor x, xa;
  Tensor kept;  // xa where backward finds it
};
Input input_of(const LinearGroup& group, const LinearContext& c, const Tensor& buffer,
               const Tensor& apart) {
  const int64_t in = group.in_features(), ranks = group.lora_width(*c.parameters);
  Input out{.x = columns(buffer, 0, in)};
  if (ranks == 0) return out;
  if (apart) out.kept = as_rows(apart, apart.dim(0), ranks);
  out.xa = c.weaves != Weaves::kNothing ? columns(buffer, in, ranks) : out.kept;
  if (!apart) out.kept = out.xa;
  return out;
}

// What was made right of x goes where backward finds it.
void keep(const Input& input, ReadBack read_back) {
  if (read_back == ReadBack::kYes && input.kept.data != input.xa.data)
    cast({.out = input.kept, .in = input.xa});
}

// What the MLP works on at a time: `count` tokens from `first` on.
struct MlpPart {
  int64_t first, count;
  Input up, down;
  Tensor gate_up;
};

// body(part) for all tokens. A buffer has room for all of them, or for those of one part.
template <class Body>
void for_mlp_parts(const BlockRun& run, const Block& block, const BlockActivations& a,
                   const Body& body) {
  const LinearContext& c = run.scratch->linear;
  const int64_t n = run.batch->tokens();
  for (int64_t first = 0; first < n; first += run.scratch->mlp_rows) {
    const int64_t count = std::min(run.scratch->mlp_rows, n - first);
    const auto part = [&](const Tensor& t) {
      return t ? rows(t, t.dim(0) < n ? 0 : first, count) : Tensor{};
    };
    body(MlpPart{first, count, input_of(block.gate_up, c, part(a.x2), part(a.xa_gate_up)),
                 input_of(block.down, c, part(a.act), part(a.xa_down)),
                 columns(part(a.gate_up), 0, block.gate_up.out_features())});
  }
}

void mlp_up(const BlockRun& run, const Block& block, const MlpPart& p) {
  linear_forward(block.gate_up, {.y = p.gate_up, .xa = p.up.xa, .x = p.up.x, .first_row = p.first},
                 run.scratch->linear);
  swiglu_forward({.out = p.down.x, .gate_up = p.gate_up});
}

}  // namespace

void block_forward(const BlockRun& run, int64_t index, const Tensor& previous, const Tensor& delta,
                   const BlockActivations& a, MlpForward mlp, ReadBack read_back) {
  const Model& model = *run.model;
  const Block& block = model.blocks[static_cast<size_t>(index)];
  const ParameterSet& parameters = model.parameters;
  const BlockScratch& s = *run.scratch;
  const float eps = static_cast<float>(model.config.norm_eps);
  const int64_t n = run.batch->tokens();

  const Input qkv = input_of(block.qkv, s.linear, a.x1, a.xa_qkv);
  rmsnorm_forward({.out = qkv.x,
                   .rstd = a.rstd1,
                   .sum = delta ? a.h_in : Tensor{},
                   .in = previous,
                   .delta = delta,
                   .weight = table_weight(block.attention_norm, parameters),
                   .eps = eps});
  linear_forward(block.qkv, {.y = a.qkv, .xa = qkv.xa, .x = qkv.x}, s.linear);
  keep(qkv, read_back);
  rotate(run, index, a);
  const Input output = input_of(block.output, s.linear, a.attention, a.xa_output);
  if (run.attend)
    run.attend(run.attend_state, index, a);
  else
    attention_forward({.out = output.x,
                       .lse = a.lse,
                       .qkv = a.qkv,
                       .starts = run.at.starts,
                       .parents = run.at.parents,
                       .shape = attention_shape(model.config, block.window),
                       .scratch = s.attention});
  const Tensor branch = first_rows(s.branch, n);
  linear_forward(block.output, {.y = branch, .xa = output.xa, .x = output.x}, s.linear);
  rmsnorm_forward({.out = columns(a.x2, 0, model.config.hidden_size),
                   .rstd = a.rstd2,
                   .sum = a.h_mid,
                   .in = a.h_in,
                   .delta = branch,
                   .weight = table_weight(block.mlp_norm, parameters),
                   .eps = eps});
  if (mlp == MlpForward::kNone) return;
  for_mlp_parts(run, block, a, [&](const MlpPart& p) {
    mlp_up(run, block, p);
    keep(p.up, read_back);
    const LinearForward down = {
        .y = rows(s.delta, p.first, p.count), .xa = p.down.xa, .x = p.down.x, .first_row = p.first};
    if (mlp == MlpForward::kAll)
      linear_forward(block.down, down, s.linear);
    else
      adapter_down(block.down, down, s.linear);
    keep(p.down, read_back);
  });
}

void block_backward(const BlockRun& run, int64_t index, const Tensor& stream,
                    const BlockActivations& a, Remade remade, bool below) {
  const Model& model = *run.model;
  const ModelConfig& c = model.config;
  const Block& block = model.blocks[static_cast<size_t>(index)];
  const ParameterSet& parameters = model.parameters;
  const BlockScratch& s = *run.scratch;
  const float eps = static_cast<float>(c.norm_eps);
  const int64_t n = run.batch->tokens();
  const int64_t q = c.heads * c.head_dim, k = c.kv_heads * c.head_dim;
  const Tensor dbranch = first_rows(s.branch, n), dh = columns(stream, 0, c.hidden_size);

  // MLP: dh is the gradient of down's output as well as of the stream beside it.
  if (remade == Remade::kNorms)
    normalise(block.mlp_norm, parameters, eps, a.h_mid, columns(a.x2, 0, c.hidden_size), a.rstd2);
  for_mlp_parts(run, block, a, [&](const MlpPart& p) {
    const Tensor dact = as_rows(s.dwide, p.count, c.intermediate_size);
    if (remade == Remade::kMlp) {
      mlp_up(run, block, p);
      adapter_down(block.down, {.xa = p.down.xa, .x = p.down.x, .first_row = p.first}, s.linear);
    } else if (remade == Remade::kNorms) {
      swiglu_forward({.out = p.down.x, .gate_up = p.gate_up});
    }
    linear_backward(block.down,
                    {.dx = dact,
                     .dy = rows(dh, p.first, p.count),
                     .x = p.down.x,
                     .xa = p.down.kept,
                     .first_row = p.first},
                    s.linear);
    swiglu_backward({.dgate_up = p.gate_up, .dout = dact, .gate_up = p.gate_up});
    linear_backward(block.gate_up,
                    {.dx = rows(dbranch, p.first, p.count),
                     .dy = p.gate_up,
                     .x = p.up.x,
                     .xa = p.up.kept,
                     .first_row = p.first},
                    s.linear);
  });
  rmsnorm_backward({.din = dh,
                    .dweight = gradient_or_none(block.mlp_norm, parameters),
                    .dout = dbranch,
                    .in = a.h_mid,
                    .rstd = a.rstd2,
                    .weight = table_weight(block.mlp_norm, parameters)});

  // Attention.
  const Tensor dattention = first_rows(s.dattention, n);
  const Input output = input_of(block.output, s.linear, a.attention, a.xa_output);
  linear_backward(block.output, {.dx = dattention, .dy = dh, .x = output.x, .xa = output.kept},
                  s.linear);
  const Tensor dqkv =
      columns(as_rows(s.dwide, n, s.gradient_row(c.qkv_width(), {kQkv})), 0, c.qkv_width());
  attention_backward({.dqkv = dqkv,
                      .dout = dattention,
                      .out = output.x,
                      .qkv = a.qkv,
                      .lse = a.lse,
                      .starts = run.at.starts,
                      .shape = attention_shape(model.config, block.window),
                      .scratch = s.attention});
  QkBackward turned = {.dinout = columns(dqkv, 0, q + k),
                       .cos = run.rope->cos_tensor(),
                       .sin = run.rope->sin_tensor(),
                       .positions = run.at.positions,
                       .heads = c.heads,
                       .kv_heads = c.kv_heads};
  if (c.qk_norm) {
    turned.raw = a.qk_raw;
    turned.rstd_q = a.rstd_q;
    turned.rstd_k = a.rstd_k;
    turned.q_weight = table_weight(block.q_norm, parameters);
    turned.k_weight = table_weight(block.k_norm, parameters);
    turned.dq_weight = gradient_or_none(block.q_norm, parameters);
    turned.dk_weight = gradient_or_none(block.k_norm, parameters);
  }
  qk_backward(turned);
  const Input qkv = input_of(block.qkv, s.linear, a.x1, a.xa_qkv);
  if (remade != Remade::kNothing)
    normalise(block.attention_norm, parameters, eps, a.h_in, qkv.x, a.rstd1);
  const bool norm_trained = block.attention_norm.parameter >= 0;
  linear_backward(
      block.qkv,
      {.dx = below || norm_trained ? dbranch : Tensor{}, .dy = dqkv, .x = qkv.x, .xa = qkv.kept},
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
