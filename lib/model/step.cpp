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
  }
  b.loss = arena.take(Dtype::kF64, {1});
  b.batch = BatchPlace(arena, o.tokens, o.labelled);
  b.head = take_head(arena, model, sizes, o.labelled);
  return b;
}

Step::Step(const Model& model, const StepOptions& options, const RopeTable& rope, Arena& arena)
    : model_(model),
      options_(options),
      rope_(rope),
      buffers_(take_step_buffers(arena, model, options)),
      graphs_(arena.device(), options.graphs),
      embedding_trained_(model.embedding.parameter >= 0) {
  weights_.emplace(model, buffers_.scratch.weights, options.compute);
  buffers_.scratch.linear.frozen = &*weights_;
  while (lowest_trained_ < model.config.layers &&
         !trains(model.blocks[static_cast<size_t>(lowest_trained_)]))
    ++lowest_trained_;
  if (!arena.measuring()) zero(buffers_.loss);
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

Tensor Step::forward_stream(const BlockRun& run) {
  const Span span("forward");
  const int64_t n = run.batch->tokens();
  const Tensor start = activations(0, n).h_in;
  embedding_forward({.out = start,
                     .ids = run.at.ids,
                     .table = table_weight(model_.embedding, model_.parameters)});
  if (run.at.noise)
    uniform_noise({.inout = start,
                   .scales = run.at.noise,
                   .seed = buffers_.scratch.linear.seed,
                   .stream = static_cast<uint64_t>(RngStream::kNeftune),
                   .draw = run.at.draw});
  run_blocks(run, 0, model_.config.layers, start);
  const Tensor stream = rows(buffers_.scratch.branch, 0, n);
  const Tensor last = activations(model_.config.layers - 1, n).h_mid;
  cast({.out = stream, .in = last});
  accumulate({.out = stream, .in = rows(buffers_.scratch.delta, 0, n)});
  return stream;
}

// How loud each token's noise is: by the length of its sequence.
void Step::say_noise(const Batch& batch) {
  const auto c = static_cast<float>(model_.config.hidden_size);
  told_.noise.assign(static_cast<size_t>(batch.tokens()), 0.0f);
  for (int64_t s = 0; s < batch.sequences(); ++s) {
    const int32_t from = batch.starts[static_cast<size_t>(s)];
    const int32_t to = batch.starts[static_cast<size_t>(s) + 1];
    const float scale = options_.neftune_alpha / std::sqrt(static_cast<float>(to - from) * c);
    std::fill(told_.noise.begin() + from, told_.noise.begin() + to, scale);
  }
}

// The batch where ops read it, on CUDA filled up where wanted.
BlockRun Step::run_of(const Batch& batch, Filled filled) {
  check(batch);
  const Batch* placed = &batch;
  if (filled == Filled::kYes && buffers_.loss.device.on_cuda() && batch.parents.empty()) {
    fill_up(batch, filled_shape(batch, {options_.tokens, options_.tokens, options_.labelled}),
            filled_);
    placed = &filled_;
  }
  if (!told_.noise.empty()) told_.noise.resize(static_cast<size_t>(placed->tokens()), 0.0f);
  const BlockRun run = {.model = &model_,
                        .batch = placed,
                        .at = buffers_.batch.put(*placed, model_.config.vocab_size, told_),
                        .rope = &rope_,
                        .scratch = &buffers_.scratch};
  buffers_.scratch.linear.draw = run.at.draw;
  return run;
}

Graphs::Key Step::key_of(const BlockRun& run, bool training) const {
  const LinearContext& linear = buffers_.scratch.linear;
  return {run.batch->tokens(), run.batch->sequences(), static_cast<int64_t>(run.batch->rows.size()),
          static_cast<int64_t>(linear.seed), training ? 1 : 0};
}

// A run without dropout or noise.
BlockRun Step::plain_run(const Batch& batch, Filled filled) {
  buffers_.scratch.linear.dropout = 0.0f;
  told_.noise.clear();
  return run_of(batch, filled);
}

double Step::forward(const Batch& batch) {
  const BlockRun run = plain_run(batch, Filled::kYes);
  const auto body = [&] {
    weights_->begin(run_kind(*run.batch, false));
    const Tensor stream = forward_stream(run);
    weights_->end();
    run_head(model_, run.at, {.stream = stream, .loss = buffers_.loss}, buffers_.head);
  };
  if (batch.parents.empty())
    graphs_.run(key_of(run, false), body);
  else
    body();
  return take_loss();
}

void Step::for_logits(const Batch& batch, const LogitBody& body) {
  const BlockRun run = plain_run(batch, Filled::kNo);
  weights_->begin(run_kind(batch, false));
  const Tensor stream = forward_stream(run);
  weights_->end();
  nibble::for_logits(model_, run.at, stream, buffers_.head, body);
}

double Step::take_loss() {
  double loss = 0.0;
  copy(view(&loss, {1}), buffers_.loss);
  zero(buffers_.loss);
  synchronize();
  return loss;
}

void Step::add_gradients(const Batch& batch, float grad_scale, Draw draw) {
  CHECK(options_.training && batch.parents.empty());
  CHECK(draw.micro_batch < uint64_t{1} << (64 - kDrawShift));
  if (batch.rows.empty()) return;
  LinearContext& linear = buffers_.scratch.linear;
  linear.dropout = options_.dropout;
  linear.seed = draw.seed;
  told_.draw = static_cast<int32_t>(draw.micro_batch);
  told_.grad_scale = grad_scale;
  told_.noise.clear();
  if (options_.neftune_alpha > 0) say_noise(batch);
  const BlockRun run = run_of(batch, Filled::kYes);
  graphs_.run(key_of(run, true), [&] { there_and_back(run); });
}

// Forward and backward, without a word to or from the host.
void Step::there_and_back(const BlockRun& run) {
  const int64_t n = run.batch->tokens(), layers = model_.config.layers;
  weights_->begin(run_kind(*run.batch, true));
  const Tensor stream = forward_stream(run);
  const Tensor dstream = rows(buffers_.dstream, 0, n);
  run_head(model_, run.at, {.stream = stream, .dstream = dstream, .loss = buffers_.loss},
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
}

}  // namespace nibble
