// SPDX-License-Identifier: Apache-2.0
#include "model/head.h"

#include <algorithm>

#include "base/profile.h"
#include "kernels/cross_entropy.h"
#include "kernels/matmul.h"
#include "kernels/rmsnorm.h"
#include "kernels/rows.h"
#include "model/buffer_rows.h"

namespace nibble {
namespace {

constexpr int64_t kLogitBytes = int64_t{64} << 20;
constexpr int64_t kPanelElements = int64_t{1} << 25;  // 128 MiB of f32

// On a GPU a chunk's products read all of the head's weights, whatever its rows: with fewer than
// some hundreds of them that reading, and not the multiplying, is what they take.
constexpr int64_t kCudaLogitBytes = int64_t{160} << 20;

}  // namespace

int64_t head_chunk_rows(const ModelConfig& c, int64_t labelled, Device device) {
  const int64_t row_bytes = (device.on_cuda() ? 2 : 4) * c.vocab_size;
  const int64_t bytes = device.on_cuda() ? kCudaLogitBytes : kLogitBytes;
  // Whole tiles of a product, which are of 128 rows on a GPU.
  const int64_t most = bytes / row_bytes, unit = device.on_cuda() && most >= 128 ? 128 : 16;
  const int64_t fits = std::max<int64_t>(16, most / unit * unit);
  return std::max<int64_t>(1, std::min({fits, labelled, int64_t{1024}}));
}

namespace {

int64_t panel_rows(const ModelConfig& c) {
  return std::min(c.vocab_size, std::max<int64_t>(1, kPanelElements / c.hidden_size));
}

// Whether products read the head's weights as they are stored. In f32 they widen bf16 while they
// pack it for the cache, at the cost of packing f32 and with half of the memory to read.
bool read_as_stored(const Model& model, Dtype type, Device device) {
  const Projection& head = model.head;
  if (head.weight_parameter >= 0) return true;
  if (head.quantized || !head.weight) return false;
  const bool widened = type == Dtype::kF32 && head.weight.dtype == Dtype::kBf16;
  return head.weight.dtype == type || (widened && !device.on_cuda());
}

// The head's weights, block by block of the vocabulary. A panel that holds them all is expanded
// once and used for every chunk.
class HeadWeights {
 public:
  HeadWeights(const Model& model, const HeadBuffers& buffers)
      : model_(model),
        buffers_(buffers),
        stored_(read_as_stored(model, buffers.logits.dtype, buffers.logits.device)),
        rows_(stored_ ? model.config.vocab_size : panel_rows(model.config)) {}

  template <class Body>
  void for_blocks(const Body& body) {
    const int64_t vocabulary = model_.config.vocab_size;
    if (rows_ == vocabulary) {
      if (!whole_) whole_ = rows_at(0, vocabulary);
      body(whole_, 0);
      return;
    }
    for (int64_t v = 0; v < vocabulary; v += rows_)
      body(rows_at(v, std::min(rows_, vocabulary - v)), v);
  }

 private:
  Tensor rows_at(int64_t begin, int64_t count) const {
    if (stored_ && model_.head.weight_parameter < 0) return rows(model_.head.weight, begin, count);
    return weight_rows(model_.head, model_.parameters, begin, count, buffers_.panel.dtype,
                       buffers_.panel);
  }
  const Model& model_;
  const HeadBuffers& buffers_;
  bool stored_;
  int64_t rows_;
  Tensor whole_;
};

void project(HeadWeights& weights, const Tensor& normed, const Tensor& logits,
             const HeadBuffers& buffers) {
  weights.for_blocks([&](const Tensor& block, int64_t v) {
    matmul({.out = columns(logits, v, block.dim(0)),
            .a = normed,
            .b = block,
            .b_transpose = Transpose::kYes,
            .scratch = buffers.matmul_scratch});
  });
}

// The chosen rows' logits, whatever fewness of rows makes fastest.
Tensor chunk_logits(const Model& model, HeadWeights& weights, const Tensor& stream,
                    const Tensor& row_ids, const HeadBuffers& b) {
  const int64_t m = row_ids.dim(0);
  const Tensor hidden = rows(b.hidden, 0, m), normed = rows(b.normed, 0, m);
  const Tensor logits = rows(b.logits, 0, m);
  gather_rows({.out = hidden, .in = stream, .rows = row_ids});
  rmsnorm_forward({.out = normed,
                   .rstd = rows(b.rstd, 0, m),
                   .in = hidden,
                   .weight = table_weight(model.norm, model.parameters),
                   .eps = static_cast<float>(model.config.norm_eps)});
  if (reads_few_rows(m))
    few_rows(model.head, model.parameters, logits, normed);
  else
    project(weights, normed, logits, b);
  return logits;
}

}  // namespace

HeadBuffers take_head(Arena& arena, const Model& model, const BlockSizes& s, int64_t labelled,
                      const Tensor& room) {
  const ModelConfig& c = model.config;
  const int64_t m = head_chunk_rows(c, labelled, arena.device()), v = c.vocab_size,
                h = c.hidden_size;
  const Dtype type = panel_dtype(s.compute, arena.device());
  HeadBuffers b;
  b.hidden = arena.take(s.compute, {m, h});
  b.normed = arena.take(s.compute, {m, h});
  b.rstd = arena.take(Dtype::kF32, {m});
  b.logits = arena.take(type, {m, v});
  b.losses = arena.take(Dtype::kF32, {labelled});
  if (s.training) {
    b.dnormed = arena.take(s.compute, {m, h});
    CHECK(room.dtype == s.compute);
    b.dhidden = as_rows(room, labelled, h);
  }
  const bool stored = read_as_stored(model, type, arena.device());
  b.panel = arena.take(type, {stored ? 0 : panel_rows(c) * h});
  const auto shape = [&](Dtype t, int64_t r, int64_t k) {
    return make_tensor(nullptr, t, {r, k}, arena.device());
  };
  int64_t scratch = 0;
  for (const Dtype weight : {type, Dtype::kBf16})
    scratch = std::max(scratch, matmul_scratch_elements({.out = shape(type, m, v),
                                                         .a = shape(s.compute, m, h),
                                                         .b = shape(weight, v, h),
                                                         .b_transpose = Transpose::kYes}));
  if (s.training) {
    for (const Dtype weight : {type, Dtype::kBf16})
      scratch = std::max(scratch, matmul_scratch_elements({.out = shape(s.compute, m, h),
                                                           .a = shape(type, m, v),
                                                           .b = shape(weight, v, h)}));
    scratch = std::max(scratch, matmul_scratch_elements({.out = shape(Dtype::kF32, v, h),
                                                         .a = shape(type, m, v),
                                                         .b = shape(s.compute, m, h),
                                                         .a_transpose = Transpose::kYes}));
  }
  b.matmul_scratch = arena.take(Dtype::kF32, {scratch});
  return b;
}

void run_head(const Model& model, const BatchTensors& batch, const HeadRun& run,
              const HeadBuffers& b) {
  const Span span("head and loss");
  const ParameterSet& parameters = model.parameters;
  const Tensor weight = table_weight(model.norm, parameters);
  const float eps = static_cast<float>(model.config.norm_eps);
  const Tensor index = batch.rows, targets = batch.targets;
  const int64_t labelled = index ? index.dim(0) : 0;
  if (labelled == 0) return;
  HeadWeights weights(model, b);
  for (int64_t begin = 0; begin < labelled; begin += b.hidden.dim(0)) {
    const int64_t m = std::min(b.hidden.dim(0), labelled - begin);
    const Tensor hidden = rows(b.hidden, 0, m), normed = rows(b.normed, 0, m);
    const Tensor rstd = rows(b.rstd, 0, m), logits = rows(b.logits, 0, m);
    const Tensor losses = rows(b.losses, begin, m);
    gather_rows({.out = hidden, .in = run.stream, .rows = rows(index, begin, m)});
    rmsnorm_forward({.out = normed, .rstd = rstd, .in = hidden, .weight = weight, .eps = eps});
    project(weights, normed, logits, b);
    cross_entropy({.losses = losses,
                   .dlogits = run.dstream ? logits : Tensor{},
                   .logits = logits,
                   .targets = rows(targets, begin, m),
                   .scale = batch.grad_scale});
    if (!run.dstream) continue;

    const Tensor dnormed = rows(b.dnormed, 0, m), dhidden = rows(b.dhidden, begin, m);
    weights.for_blocks([&](const Tensor& block, int64_t v) {
      matmul({.out = dnormed,
              .a = columns(logits, v, block.dim(0)),
              .b = block,
              .beta = v == 0 ? 0.0f : 1.0f,
              .scratch = b.matmul_scratch});
    });
    if (model.head.weight_parameter >= 0)
      matmul({.out = parameters.gradient(model.head.weight_parameter),
              .a = logits,
              .b = normed,
              .a_transpose = Transpose::kYes,
              .beta = 1.0f,
              .scratch = b.matmul_scratch});
    zero(dhidden);
    rmsnorm_backward({.din = dhidden,
                      .dweight = model.norm.parameter >= 0
                                     ? parameters.gradient(model.norm.parameter)
                                     : Tensor{},
                      .dout = dnormed,
                      .in = hidden,
                      .rstd = rstd,
                      .weight = weight});
  }
  if (run.dstream)
    scatter_rows({.out = run.dstream, .in = rows(b.dhidden, 0, labelled), .rows = index});
  add_sum({.out = run.loss, .in = rows(b.losses, 0, labelled)});
}

void for_logits(const Model& model, const BatchTensors& batch, const Tensor& stream,
                const HeadBuffers& b, const LogitBody& body) {
  const Span span("head");
  HeadWeights weights(model, b);
  const Tensor index = batch.rows;
  const int64_t all = index ? index.dim(0) : 0;
  for (int64_t first = 0; first < all; first += b.hidden.dim(0)) {
    const int64_t m = std::min(b.hidden.dim(0), all - first);
    body(first, chunk_logits(model, weights, stream, rows(index, first, m), b));
  }
}

Tensor head_logits(const Model& model, const Tensor& stream, const Tensor& row_ids,
                   const HeadBuffers& b) {
  const Span span("head");
  HeadWeights weights(model, b);
  return chunk_logits(model, weights, stream, row_ids, b);
}

}  // namespace nibble
