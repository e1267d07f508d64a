// SPDX-License-Identifier: Apache-2.0
#include "model/step.h"

#include <algorithm>
#include <cmath>

#include "base/profile.h"
#include "base/rng.h"
#include "kernels/elementwise.h"
#include "kernels/embedding.h"

namespace nibble {
namespace {

int64_t segment_length(Recompute recompute, int64_t layers) {
  if (recompute == Recompute::kLayer) return 1;
  if (recompute == Recompute::kSqrt)
    return static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(layers))));
  return layers;
}

NormRecompute norm_recompute(Recompute recompute) {
  return recompute == Recompute::kNorm ? NormRecompute::kYes : NormRecompute::kNo;
}

bool trains(const Block& b) {
  const auto group = [](const LinearGroup& g) {
    return std::any_of(g.parts.begin(), g.parts.end(), [](const Projection& p) {
      return p.lora_a >= 0 || p.weight_parameter >= 0 || p.bias_parameter >= 0;
    });
  };
  return group(b.qkv) || group(b.output) || group(b.gate_up) || group(b.down) ||
         b.attention_norm.parameter >= 0 || b.mlp_norm.parameter >= 0 || b.q_norm.parameter >= 0 ||
         b.k_norm.parameter >= 0;
}

BlockSizes block_sizes(const StepOptions& o) {
  return {.tokens = o.tokens,
          .longest = o.longest,
          .compute = o.compute,
          .training = o.training,
          .dropout = o.dropout,
          .weights = o.weights,
          .ahead = Ahead::kYes};
}

// All that decides which weights a run reads: a few rows read them as they are stored (linear.h).
int64_t run_kind(const Batch& batch, bool training) {
  return 2 * int64_t{reads_few_rows(batch.tokens())} + int64_t{training};
}

}  // namespace

Recompute parse_recompute(std::string_view name) {
  for (const Recompute r :
       {Recompute::kNone, Recompute::kNorm, Recompute::kLayer, Recompute::kSqrt})
    if (recompute_name(r) == name) return r;
  throw UsageError(cat("--recompute=", name, ": not one of none, norm, layer, sqrt"));
}

std::string_view recompute_name(Recompute recompute) {
  constexpr std::string_view kNames[] = {"none", "norm", "layer", "sqrt"};
  return kNames[static_cast<size_t>(recompute)];
}

StepBuffers take_step_buffers(Arena& arena, const Model& model, const StepOptions& o) {
  const int64_t layers = model.config.layers, c = model.config.hidden_size;
  const BlockSizes sizes = block_sizes(o);
  const NormRecompute norm = norm_recompute(o.recompute);
  // Without a backward pass one slot serves all blocks.
  const int64_t segment = o.training ? segment_length(o.recompute, layers) : 1;
  StepBuffers b;
  b.scratch = take_block_scratch(arena, model, sizes, norm);
  for (int64_t i = 0; i < segment; ++i)
    b.slots.push_back(take_activations(arena, model, sizes, norm, b.scratch));
  if (o.training) {
    for (int64_t start = 0; start + segment < layers; start += segment)
      b.checkpoints.push_back(arena.take(o.compute, {o.tokens, c}));
    b.dstream = arena.take(o.compute, {o.tokens, c});
    if (o.neftune_alpha > 0) b.neftune_scales = arena.take(Dtype::kF32, {o.tokens});
  }
  b.batch = BatchPlace(arena, o.tokens, o.labelled);
  b.head = take_head(arena, model, sizes, o.labelled);
  return b;
}

Step::Step(const Model& model, const StepOptions& options, const RopeTable& rope, Arena& arena)
    : model_(model),
      options_(options),
      rope_(rope),
      buffers_(take_step_buffers(arena, model, options)),
      embedding_trained_(model.embedding.parameter >= 0) {
  weights_.emplace(model, buffers_.scratch.weights, options.compute);
  buffers_.scratch.linear.frozen = &*weights_;
  while (lowest_trained_ < model.config.layers &&
         !trains(model.blocks[static_cast<size_t>(lowest_trained_)]))
    ++lowest_trained_;
}

BlockActivations Step::activations(int64_t block, int64_t n) const {
  const auto slots = static_cast<int64_t>(buffers_.slots.size());
  return first_rows(buffers_.slots[static_cast<size_t>(block % slots)], n);
}

void Step::check(const Batch& batch) const {
  CHECK(batch.tokens() > 0 && batch.tokens() <= options_.tokens);
  CHECK(batch.longest <= options_.longest && batch.longest <= rope_.positions);
  CHECK(static_cast<int64_t>(batch.rows.size()) <= options_.labelled);
}

// Blocks [begin, end) from their input stream `start`, which the first block may hold itself.
void Step::run_blocks(const BlockRun& run, int64_t begin, int64_t end, const Tensor& start) {
  const int64_t n = run.batch->tokens();
  const auto segment = static_cast<int64_t>(buffers_.slots.size());
  for (int64_t l = begin; l < end; ++l) {
    BlockActivations a = activations(l, n);
    if (l == begin) {
      a.h_in = start;
      block_forward(run, l, start, {}, a);
    } else {
      const Tensor above = activations(l - 1, n).h_mid;
      block_forward(run, l, above, rows(buffers_.scratch.delta, 0, n), a);
    }
    const auto checkpoint = static_cast<size_t>(l / segment);
    if (l % segment == 0 && checkpoint < buffers_.checkpoints.size()) {
      const Tensor kept = rows(buffers_.checkpoints[checkpoint], 0, n);
      if (kept.data != a.h_in.data) cast({.out = kept, .in = a.h_in});
    }
  }
}

Tensor Step::forward_stream(const BlockRun& run, float neftune_alpha, Draw draw) {
  const Span span("forward");
  const Batch& batch = *run.batch;
  const int64_t n = batch.tokens(), c = model_.config.hidden_size;
  const Tensor start = activations(0, n).h_in;
  embedding_forward({.out = start,
                     .ids = run.at.ids,
                     .table = table_weight(model_.embedding, model_.parameters)});
  if (neftune_alpha > 0) {
    // On a device the copy is waited for by run_head, before these numbers change again.
    neftune_scales_.resize(static_cast<size_t>(n));
    for (int64_t s = 0; s < batch.sequences(); ++s) {
      const int32_t from = batch.starts[static_cast<size_t>(s)];
      const int32_t to = batch.starts[static_cast<size_t>(s) + 1];
      const float scale =
          neftune_alpha / std::sqrt(static_cast<float>(to - from) * static_cast<float>(c));
      std::fill(neftune_scales_.begin() + from, neftune_scales_.begin() + to, scale);
    }
    copy(rows(buffers_.neftune_scales, 0, n), view(neftune_scales_.data(), {n}));
    uniform_noise({.inout = start,
                   .scales = rows(buffers_.neftune_scales, 0, n),
                   .seed = draw.seed,
                   .stream = static_cast<uint64_t>(RngStream::kNeftune),
                   .counter = draw.micro_batch << 36});
  }
  run_blocks(run, 0, model_.config.layers, start);
  const Tensor stream = rows(buffers_.scratch.branch, 0, n);
  const Tensor last = activations(model_.config.layers - 1, n).h_mid;
  cast({.out = stream, .in = last});
  accumulate({.out = stream, .in = rows(buffers_.scratch.delta, 0, n)});
  return stream;
}

BlockRun Step::run_of(const Batch& batch) {
  check(batch);
  return {.model = &model_,
          .batch = &batch,
          .at = buffers_.batch.put(batch, model_.config.vocab_size),
          .rope = &rope_,
          .scratch = &buffers_.scratch};
}

BlockRun Step::plain_run(const Batch& batch) {
  buffers_.scratch.linear.dropout = 0.0f;
  return run_of(batch);
}

double Step::forward(const Batch& batch) {
  const BlockRun run = plain_run(batch);
  weights_->begin(run_kind(batch, false));
  const Tensor stream = forward_stream(run, 0.0f, {});
  weights_->end();
  return run_head(model_, run.at, {.stream = stream}, buffers_.head);
}

void Step::for_logits(const Batch& batch, const LogitBody& body) {
  const BlockRun run = plain_run(batch);
  weights_->begin(run_kind(batch, false));
  const Tensor stream = forward_stream(run, 0.0f, {});
  weights_->end();
  nibble::for_logits(model_, run.at, stream, buffers_.head, body);
}

double Step::forward_backward(const Batch& batch, float grad_scale, Draw draw) {
  CHECK(options_.training && batch.parents.empty());
  if (batch.rows.empty()) return 0.0;
  LinearContext& linear = buffers_.scratch.linear;
  linear.dropout = options_.dropout;
  linear.seed = draw.seed;
  linear.draw = draw.micro_batch;
  const BlockRun run = run_of(batch);
  const int64_t n = batch.tokens(), layers = model_.config.layers;
  weights_->begin(run_kind(batch, true));
  const Tensor stream = forward_stream(run, options_.neftune_alpha, draw);
  const Tensor dstream = rows(buffers_.dstream, 0, n);
  const double loss =
      run_head(model_, run.at, {.stream = stream, .dstream = dstream, .grad_scale = grad_scale},
               buffers_.head);

  const Span span("backward");
  const auto segment = static_cast<int64_t>(buffers_.slots.size());
  const NormRecompute norm = norm_recompute(options_.recompute);
  const int64_t lowest = embedding_trained_ ? 0 : lowest_trained_;
  for (int64_t begin = (layers - 1) / segment * segment; begin >= 0; begin -= segment) {
    const int64_t end = std::min(layers, begin + segment);
    if (end <= lowest && !embedding_trained_) break;
    const auto checkpoint = static_cast<size_t>(begin / segment);
    const bool kept = checkpoint >= buffers_.checkpoints.size();  // the last segment's are in place
    const Tensor start = kept ? Tensor{} : rows(buffers_.checkpoints[checkpoint], 0, n);
    if (!kept) run_blocks(run, begin, end, start);
    for (int64_t l = end - 1; l >= std::max(begin, lowest); --l) {
      BlockActivations a = activations(l, n);
      if (!kept && l == begin) a.h_in = start;
      block_backward(run, l, dstream, a, norm, l > lowest || embedding_trained_);
    }
  }
  weights_->end();
  if (embedding_trained_)
    embedding_backward({.dtable = model_.parameters.gradient(model_.embedding.parameter),
                        .dout = dstream,
                        .ids = run.at.ids});
  return loss;
}

}  // namespace nibble
