// SPDX-License-Identifier: Apache-2.0
#include "model/linear.h"

#include <algorithm>
#include <array>

#include "kernels/adapter.h"
#include "kernels/adapter_dropout.h"
#include "kernels/elementwise.h"
#include "kernels/matmul.h"
#include "model/buffer_rows.h"
#include "model/frozen_weights.h"

namespace nibble {
namespace {

constexpr int64_t kMatvecRows = 16;

// A part's rows of the group's outputs.
struct Slice {
  const Projection* part;
  int64_t begin;  // first output column
};

// A list of its own would be allocated in every step.
struct Slices {
  std::array<Slice, kMostParts> parts{};
  size_t count = 0;
  const Slice* begin() const { return parts.data(); }
  const Slice* end() const { return parts.data() + count; }
};

Slices slices(const LinearGroup& group) {
  CHECK(group.parts.size() <= kMostParts);
  Slices out;
  int64_t at = 0;
  for (const Projection& p : group.parts) {
    out.parts[out.count++] = {&p, at};
    at += p.out_features;
  }
  return out;
}

// The adapted parts' B, where they are in the group's outputs.
class AdapterParts {
 public:
  AdapterParts(const LinearGroup& group, const ParameterSet& parameters, bool gradients) {
    for (const Slice& s : slices(group)) {
      const Projection& p = *s.part;
      if (p.lora_a < 0) continue;
      parts_[count_++] = {.b = parameters.compute(p.lora_b),
                          .db = gradients ? parameters.gradient(p.lora_b) : Tensor{},
                          .column = s.begin,
                          .scale = p.lora_scale};
    }
  }
  std::span<const AdapterPart> parts() const { return {parts_.data(), count_}; }

 private:
  std::array<AdapterPart, kMostParts> parts_{};
  size_t count_ = 0;
};

// The adapters' A one under another, where they lie so: (sum of ranks, I).
Tensor joined_a(const LinearGroup& group, const ParameterSet& parameters, bool gradients) {
  Tensor joined;
  for (const Projection& p : group.parts) {
    if (p.lora_a < 0) continue;
    const Tensor a = gradients ? parameters.gradient(p.lora_a) : parameters.compute(p.lora_a);
    if (!joined) {
      joined = a;
      continue;
    }
    if (!adjoin(joined, a)) return {};
    joined.shape[0] += a.dim(0);
  }
  return joined;
}

// Calls body(weights (M,I), first output column) over all weights of the group, piece by piece;
// with what is woven in, the weights are wider, or the last ones longer.
template <class Body>
void for_weights(const LinearGroup& group, const LinearContext& c, Woven woven, const Body& body) {
  WeightPieces pieces(group, *c.parameters, c.compute, current_stream().device);
  const int64_t in = group.in_features();
  while (const auto piece = pieces.next()) {
    if (c.frozen) {
      body(c.frozen->read(group, *piece, woven), piece->begin);
      c.frozen->done();
    } else if (piece->stored) {
      body(piece->stored, piece->begin);
    } else {
      CHECK(woven == Woven::kNothing);
      const Tensor panel = as_rows(c.panel, piece->count, in);
      expand_piece(group, *piece, panel);
      body(panel, piece->begin);
    }
  }
}

// Each micro-batch draws from its own range of counters, each layer from its own stream, and four
// elements from one number.
uint64_t first_counter(int64_t first_row, int64_t width) {
  CHECK(first_row * width % 4 == 0);
  return static_cast<uint64_t>(first_row * width / 4);
}

// What A multiplies: x, or with dropout what is left of it, in scratch.
Tensor dropped_input(const Projection& p, const Tensor& x, int64_t first_row,
                     const LinearContext& c) {
  if (c.dropout == 0) return x;
  const Tensor out = as_rows(c.dropout_scratch, x.dim(0), x.dim(1));
  dropout({.out = out,
           .in = x,
           .p = c.dropout,
           .seed = c.seed,
           .stream = p.dropout_stream,
           .counter = first_counter(first_row, x.dim(1)),
           .draw = c.draw});
  return out;
}

// out = x A^T; of few rows on a GPU, whose products keep it busy with larger ones alone, as
// decoding multiplies.
void multiply_a(const Tensor& out, const Tensor& x, const Tensor& a, const LinearContext& c) {
  if (current_stream().device.on_cuda() && reads_few_rows(x.dim(0)))
    return dense_matvec({.out = out, .x = x, .weight = a});
  matmul({.out = out, .a = x, .b = a, .b_transpose = Transpose::kYes, .scratch = c.matmul_scratch});
}

// xa = dropout(X) A^T, one product for the group where there is no dropout.
void project_down(const LinearGroup& group, const LinearForward& io, const LinearContext& c) {
  const Tensor &xa = io.xa, &x = io.x;
  const ParameterSet& parameters = *c.parameters;
  const Tensor joined = c.dropout > 0 ? Tensor{} : joined_a(group, parameters, false);
  if (joined) return multiply_a(xa, x, joined, c);
  int64_t at = 0;
  for (const Projection& p : group.parts) {
    if (p.lora_a < 0) continue;
    const Tensor in = dropped_input(p, x, io.first_row, c);
    const int64_t rank = lora_rank(p, parameters);
    multiply_a(columns(xa, at, rank), in, parameters.compute(p.lora_a), c);
    at += rank;
  }
}

// dx += the parts' dropout'(dxa A).
void add_dropped(const LinearGroup& group, const LinearBackward& io, const Tensor& dx,
                 const Tensor& dxa, const LinearContext& c) {
  std::array<AdapterDropoutPart, kMostParts> parts;
  size_t count = 0;
  for (const Projection& p : group.parts)
    if (p.lora_a >= 0)
      parts[count++] = {.a = c.parameters->compute(p.lora_a), .stream = p.dropout_stream};
  adapter_dropout_backward({.dx = dx,
                            .dxa = dxa,
                            .parts = {parts.data(), count},
                            .p = c.dropout,
                            .seed = c.seed,
                            .counter = first_counter(io.first_row, dx.dim(1)),
                            .draw = c.draw,
                            .product = as_rows(c.dropout_scratch, dx.dim(0), dx.dim(1)),
                            .scratch = c.matmul_scratch});
}

// Gradients of A, and, unless dx is absent, dx = beta dx + dropout'(dxa A); beta is 1 with dropout.
void backward_down(const LinearGroup& group, const LinearBackward& io, const Tensor& dx,
                   const Tensor& dxa, float beta, const LinearContext& c) {
  const ParameterSet& parameters = *c.parameters;
  const Tensor joined = c.dropout > 0 ? Tensor{} : joined_a(group, parameters, false);
  if (joined) {
    matmul({.out = joined_a(group, parameters, true),
            .a = dxa,
            .b = io.x,
            .a_transpose = Transpose::kYes,
            .beta = 1.0f,
            .scratch = c.matmul_scratch});
    if (dx) matmul({.out = dx, .a = dxa, .b = joined, .beta = beta, .scratch = c.matmul_scratch});
    return;
  }
  int64_t at = 0;
  for (const Projection& p : group.parts) {
    if (p.lora_a < 0) continue;
    const int64_t rank = lora_rank(p, parameters);
    const Tensor dpart = columns(dxa, at, rank);
    at += rank;
    const Tensor in = dropped_input(p, io.x, io.first_row, c);
    matmul({.out = parameters.gradient(p.lora_a),
            .a = dpart,
            .b = in,
            .a_transpose = Transpose::kYes,
            .beta = 1.0f,
            .scratch = c.matmul_scratch});
    if (!dx || c.dropout > 0) continue;
    matmul({.out = dx,
            .a = dpart,
            .b = parameters.compute(p.lora_a),
            .beta = beta,
            .scratch = c.matmul_scratch});
    beta = 1.0f;
  }
  if (dx && c.dropout > 0) add_dropped(group, io, dx, dxa, c);
}

// Whether the adapters' share is made before the weights'. On a GPU it then needs not be read: the
// product of the weights, which multiplies longer than it reads, adds it up. Not where some part
// has none, nor on the CPU, whose caches hold it.
bool adapters_first(const LinearGroup& group, int64_t n) {
  return current_stream().device.on_cuda() && !reads_few_rows(n) &&
         std::all_of(group.parts.begin(), group.parts.end(),
                     [](const Projection& p) { return p.lora_a >= 0; });
}

// A matrix and the `count` columns right of it, which must be there.
Tensor with_right(const Tensor& t, int64_t count) {
  CHECK(t.row_stride >= t.dim(1) + count);
  Tensor wide = t;
  wide.shape[1] += count;
  return wide;
}

// All quantised parts in one product, so that threads meet once.
void few_rows(const LinearGroup& group, const ParameterSet& parameters, const LinearForward& io) {
  std::array<QuantizedMatrix, kMostParts> matrices;
  size_t count = 0;
  for (const Projection& p : group.parts)
    if (p.quantized && p.weight_parameter < 0 && count < matrices.size())
      matrices[count++] = *p.quantized;
  if (count == group.parts.size())
    return quantized_matvec({.out = io.y, .x = io.x, .matrices = {matrices.data(), count}});
  for (const Slice& s : slices(group))
    few_rows(*s.part, parameters, columns(io.y, s.begin, s.part->out_features), io.x);
}

Tensor bias_of(const Projection& p, const ParameterSet& parameters) {
  return p.bias_parameter >= 0 ? parameters.value(p.bias_parameter) : p.bias;
}

}  // namespace

int64_t lora_rank(const Projection& p, const ParameterSet& parameters) {
  return p.lora_a < 0 ? 0 : parameters.all()[static_cast<size_t>(p.lora_a)].shape[0];
}

int64_t LinearGroup::out_features() const {
  int64_t n = 0;
  for (const Projection& p : parts) n += p.out_features;
  return n;
}

int64_t LinearGroup::lora_width(const ParameterSet& parameters) const {
  int64_t n = 0;
  for (const Projection& p : parts) n += lora_rank(p, parameters);
  return n;
}

bool LinearGroup::adapted() const {
  return std::any_of(parts.begin(), parts.end(), [](const auto& p) { return p.lora_a >= 0; });
}

Tensor weight_rows(const Projection& p, const ParameterSet& parameters, int64_t begin,
                   int64_t count, Dtype type, const Tensor& panel) {
  if (p.weight_parameter >= 0) return rows(parameters.compute(p.weight_parameter), begin, count);
  if (!p.quantized && p.weight.dtype == type) return rows(p.weight, begin, count);
  const Tensor out = as_rows(panel, count, p.in_features);
  CHECK(out.dtype == type);
  expand_rows(p, begin, out);
  return out;
}

bool reads_few_rows(int64_t n) {
  return n <= kMatvecRows;
}

void few_rows(const Projection& p, const ParameterSet& parameters, const Tensor& y,
              const Tensor& x) {
  if (p.weight_parameter >= 0)
    dense_matvec({.out = y, .x = x, .weight = parameters.compute(p.weight_parameter)});
  else if (p.quantized)
    quantized_matvec({.out = y, .x = x, .matrices = {&*p.quantized, 1}});
  else
    dense_matvec({.out = y, .x = x, .weight = p.weight});
}

void linear_forward(const LinearGroup& group, const LinearForward& io, const LinearContext& c) {
  const ParameterSet& parameters = *c.parameters;
  const int64_t n = io.x.dim(0);
  const bool woven = c.weaves != Weaves::kNothing && weavable(group) && !reads_few_rows(n);
  const bool first = !woven && adapters_first(group, n);
  const auto adapt = [&](AdapterForward::Output output) {
    project_down(group, io, c);
    const AdapterParts adapters(group, parameters, false);
    adapter_forward({.y = io.y,
                     .xa = io.xa,
                     .parts = adapters.parts(),
                     .output = output,
                     .scratch = c.matmul_scratch});
  };
  if (first) adapt(AdapterForward::Output::kWrite);
  if (woven) project_down(group, io, c);
  const Tensor x = woven ? with_right(io.x, group.lora_width(parameters)) : io.x;
  if (reads_few_rows(n))
    few_rows(group, parameters, io);
  else
    for_weights(group, c, woven ? Woven::kB : Woven::kNothing,
                [&](const Tensor& weight, int64_t begin) {
                  matmul({.out = columns(io.y, begin, weight.dim(0)),
                          .a = x,
                          .b = weight,
                          .b_transpose = Transpose::kYes,
                          .beta = first ? 1.0f : 0.0f,
                          .scratch = c.matmul_scratch});
                });
  for (const Slice& s : slices(group))
    if (const Tensor bias = bias_of(*s.part, parameters))
      bias_forward({.inout = columns(io.y, s.begin, s.part->out_features), .bias = bias});
  if (!first && !woven && group.adapted()) adapt(AdapterForward::Output::kAdd);
}

void adapter_down(const LinearGroup& group, const LinearForward& io, const LinearContext& c) {
  if (group.adapted()) project_down(group, io, c);
}

void linear_backward(const LinearGroup& group, const LinearBackward& io, const LinearContext& c) {
  const ParameterSet& parameters = *c.parameters;
  const int64_t n = io.dy.dim(0), ranks = group.lora_width(parameters);
  const bool room = c.weaves == Weaves::kBoth, woven = room && weavable(group);
  CHECK(!woven || c.dropout == 0.0f);
  const bool first = !woven && adapters_first(group, n) && c.dropout == 0.0f;
  const Tensor dy_dxa = room ? with_right(io.dy, ranks) : io.dy;
  const auto adapt = [&](const Tensor& dx, float beta) {
    const Tensor dxa =
        room ? columns(dy_dxa, io.dy.dim(1), ranks) : as_rows(c.lora_scratch, n, ranks);
    const AdapterParts adapters(group, parameters, true);
    adapter_backward({.dxa = dxa,
                      .dy = io.dy,
                      .xa = io.xa,
                      .parts = adapters.parts(),
                      .scratch = c.matmul_scratch});
    backward_down(group, io, dx, dxa, beta, c);
  };
  if (first) adapt(io.dx, 0.0f);
  if (woven) adapt({}, 0.0f);
  if (io.dx) {
    float beta = first ? 1.0f : 0.0f;
    for_weights(group, c, woven ? Woven::kA : Woven::kNothing,
                [&](const Tensor& weight, int64_t begin) {
                  matmul({.out = io.dx,
                          .a = columns(dy_dxa, begin, weight.dim(0)),
                          .b = weight,
                          .beta = beta,
                          .scratch = c.matmul_scratch});
                  beta = 1.0f;
                });
  }
  for (const Slice& s : slices(group)) {
    const Projection& p = *s.part;
    const Tensor dy = columns(io.dy, s.begin, p.out_features);
    if (p.weight_parameter >= 0)
      matmul({.out = parameters.gradient(p.weight_parameter),
              .a = dy,
              .b = io.x,
              .a_transpose = Transpose::kYes,
              .beta = 1.0f,
              .scratch = c.matmul_scratch});
    if (p.bias_parameter >= 0)
      bias_backward({.dbias = parameters.gradient(p.bias_parameter), .dout = dy});
  }
  if (!first && !woven && group.adapted()) adapt(io.dx, 1.0f);
}

}  // namespace nibble
