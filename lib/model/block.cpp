// SPDX-License-Identifier: Apache-2.0
#include "model/block.h"

#include <algorithm>
#include <cmath>

#include "kernels/elementwise.h"
#include "kernels/qk.h"
#include "kernels/rmsnorm.h"
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

int64_t BlockScratch::row(int64_t width, std::initializer_list<size_t> groups) const {
  int64_t ranks = 0;
  if (linear.weaves != Weaves::kNothing)
    for (const size_t g : groups) ranks = std::max(ranks, lora_widths[g]);
  return row_with_room(width, ranks);
}

int64_t BlockScratch::gradient_row(int64_t width, std::initializer_list<size_t> groups) const {
  return linear.weaves == Weaves::kBoth ? row(width, groups) : width;
}

// Dropout asks for a mask of the adapters' own share of dX, so that this is no part of a product.
Weaves weaves(const BlockSizes& s, Device device) {
  if (!device.on_cuda() || s.ahead == Ahead::kNo) return Weaves::kNothing;
  return s.training && s.dropout == 0.0f ? Weaves::kBoth : Weaves::kForward;
}

namespace {

bool any_weavable(const Model& model) {
  return std::any_of(model.blocks.begin(), model.blocks.end(), [](const Block& b) {
    const auto groups = b.groups();
    return std::any_of(groups.begin(), groups.end(),
                       [](const LinearGroup* g) { return weavable(*g); });
  });
}

}  // namespace

BlockScratch take_block_scratch(Arena& arena, const Model& model, const BlockSizes& s,
                                Remade remade) {
  const ModelConfig& c = model.config;
  const int64_t n = s.tokens, q = c.heads * c.head_dim, w = c.qkv_width();
  const int64_t f = c.intermediate_size;
  CHECK(s.mlp_rows > 0 && s.mlp_rows % 4 == 0);  // masks are drawn four elements at a time
  const int64_t m = std::min(n, s.mlp_rows);
  BlockScratch out;
  out.mlp_rows = s.mlp_rows;
  const Tensor room = arena.take(s.compute, {n * std::max(c.hidden_size, s.training ? q : 0)});
  out.delta = reshaped(room, n, c.hidden_size);
  out.branch = arena.take(s.compute, {n, c.hidden_size});
  int64_t matmul = 0, lora = 0, dropped = 0, attention = 0;
  for (const Block& b : model.blocks) {
    const AttentionShape shape = attention_shape(model.config, b.window);
    attention = std::max(attention, attention_forward_scratch(shape, s.longest, arena.device()));
    if (s.training)
      attention =
          std::max(attention, attention_backward_scratch(shape, n, s.longest, arena.device()));
    size_t group_index = 0;
    for (const LinearGroup* g : b.groups()) {
      const int64_t rows_at_once = g == &b.gate_up || g == &b.down ? m : n;
      matmul = std::max(matmul, linear_matmul_scratch(*g, model.parameters, rows_at_once, s.compute,
                                                      s.training, arena.device()));
      int64_t& width = out.lora_widths[group_index++];
      width = std::max(width, g->lora_width(model.parameters));
      lora = std::max(lora, width);
      if (g->adapted()) dropped = std::max(dropped, rows_at_once * g->in_features());
    }
  }
  if (any_weavable(model)) out.linear.weaves = weaves(s, arena.device());
  if (remade != Remade::kNothing) {
    out.x1 = arena.take(s.compute, {n, out.row(c.hidden_size, {kQkv, kGateUp})});
    out.x2 = out.x1;  // never alive together
    out.act = arena.take(s.compute, {m, out.row(f, {kDown})});
  }
  if (s.training) {
    out.dwide = arena.take(s.compute, {std::max(n * out.gradient_row(w, {kQkv}), m * f)});
    out.dattention = reshaped(room, n, q);
  }
  out.attention = arena.take(Dtype::kF32, {attention});
  out.linear.parameters = &model.parameters;
  out.linear.compute = s.compute;
  out.weights = take_weight_buffers(arena, model, s.weights, s.compute, s.ahead, out.linear.weaves);
  out.linear.panel = out.weights.panels[0];
  out.linear.matmul_scratch = arena.take(Dtype::kF32, {matmul});
  if (s.training && lora > 0 && out.linear.weaves != Weaves::kBoth)
    out.linear.lora_scratch = arena.take(s.compute, {n, lora});
  if (s.dropout > 0 && dropped > 0) out.linear.dropout_scratch = arena.take(s.compute, {dropped});
  return out;
}

BlockActivations take_activations(Arena& arena, const Model& model, const BlockSizes& s,
                                  Remade remade, const BlockScratch& scratch) {
  const ModelConfig& c = model.config;
  const int64_t n = s.tokens, q = c.heads * c.head_dim;
  const int64_t m = remade == Remade::kMlp ? std::min(n, s.mlp_rows) : n;
  const bool shared = remade != Remade::kNothing;
  const auto take = [&](int64_t width) { return arena.take(s.compute, {n, width}); };
  BlockActivations a;
  a.h_in = take(c.hidden_size);
  a.h_mid = take(c.hidden_size);
  a.rstd1 = arena.take(Dtype::kF32, {n});
  a.rstd2 = arena.take(Dtype::kF32, {n});
  a.x1 = shared ? scratch.x1 : take(scratch.row(c.hidden_size, {kQkv}));
  a.x2 = shared ? scratch.x2 : take(scratch.row(c.hidden_size, {kGateUp}));
  a.qkv = take(c.qkv_width());
  if (c.qk_norm) {
    if (s.training) a.qk_raw = take((c.heads + c.kv_heads) * c.head_dim);
    a.rstd_q = arena.take(Dtype::kF32, {n, c.heads});
    a.rstd_k = arena.take(Dtype::kF32, {n, c.kv_heads});
  }
  a.attention = take(scratch.row(q, {kOutput}));
  a.lse = arena.take(Dtype::kF32, {n, c.heads});
  a.gate_up = arena.take(s.compute, {m, scratch.gradient_row(2 * c.intermediate_size, {kGateUp})});
  a.act = shared ? scratch.act : take(scratch.row(c.intermediate_size, {kDown}));
  // Right of x it is lost where another x comes before backward.
  const bool woven = scratch.linear.weaves != Weaves::kNothing;
  const bool apart[Block::kGroups] = {shared, false, remade == Remade::kNorms,
                                      remade == Remade::kNorms};
  Tensor* xa[Block::kGroups] = {&a.xa_qkv, &a.xa_output, &a.xa_gate_up, &a.xa_down};
  for (size_t i = 0; i < Block::kGroups; ++i)
    if (const int64_t width = scratch.lora_widths[i];
        width > 0 && ((s.training && apart[i]) || !woven))
      *xa[i] = arena.take(s.compute, {i < 2 ? n : m, width});
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
  if (apart) out.kept = reshaped(apart, apart.dim(0), ranks);
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
  const Tensor branch = cut(s.branch, n);
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
  const Tensor dbranch = cut(s.branch, n), dh = columns(stream, 0, c.hidden_size);

  // MLP: dh is the gradient of down's output as well as of the stream beside it.
  if (remade == Remade::kNorms)
    normalise(block.mlp_norm, parameters, eps, a.h_mid, columns(a.x2, 0, c.hidden_size), a.rstd2);
  for_mlp_parts(run, block, a, [&](const MlpPart& p) {
    const Tensor dact = reshaped(s.dwide, p.count, c.intermediate_size);
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
  const Tensor dattention = cut(s.dattention, n);
  const Input output = input_of(block.output, s.linear, a.attention, a.xa_output);
  linear_backward(block.output, {.dx = dattention, .dy = dh, .x = output.x, .xa = output.kept},
                  s.linear);
  const Tensor dqkv =
      columns(reshaped(s.dwide, n, s.gradient_row(c.qkv_width(), {kQkv})), 0, c.qkv_width());
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
