// SPDX-License-Identifier: Apache-2.0
// What a block keeps and what all blocks share, taken from an arena: the sizes of block.h's
// buffers.
#include <algorithm>

#include "model/block.h"
#include "model/buffer_rows.h"

namespace nibble {
namespace {

bool any_weavable(const Model& model) {
  return std::any_of(model.blocks.begin(), model.blocks.end(), [](const Block& b) {
    const auto groups = b.groups();
    return std::any_of(groups.begin(), groups.end(),
                       [](const LinearGroup* g) { return weavable(*g); });
  });
}

}  // namespace

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
  out.delta = as_rows(room, n, c.hidden_size);
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
    out.dattention = as_rows(room, n, q);
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
    *t = first_rows(*t, n);
  return out;
}

}  // namespace nibble
