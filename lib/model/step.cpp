// SPDX-License-Identifier: Apache-2.0
#include "model/step.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/checked.h"
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

// What forward leaves in a block's slot for backward.
struct Kept {
  std::array<Tensor, 18> tensors;
  size_t count = 0;
  std::span<const Tensor> span() const { return {tensors.data(), count}; }
};
Kept kept_of(const BlockActivations& a, Remade remade) {
  Kept kept;
  for (const Tensor* t : {&a.h_in, &a.h_mid, &a.rstd1, &a.rstd2, &a.qkv, &a.qk_raw, &a.rstd_q,
                          &a.rstd_k, &a.attention, &a.lse, &a.gate_up, &a.xa_qkv, &a.xa_output,
                          &a.xa_gate_up, &a.xa_down, &a.x1, &a.x2, &a.act}) {
    const bool shared = t == &a.x1 || t == &a.x2 || t == &a.act;
    if (t->elements() > 0 && (remade == Remade::kNothing || !shared))
      kept.tensors[kept.count++] = *t;
  }
  return kept;
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

// All that decides which weights a run reads, and how often: a few rows read them as they are
// stored (linear.h), MLPs are done in parts.
int64_t run_kind(const Batch& batch, bool training, int64_t mlp_rows) {
  const int64_t n = batch.tokens(), parts = ceil_div(n, mlp_rows);
  const bool few_last = reads_few_rows(n - (parts - 1) * mlp_rows);
  return 8 * parts + 4 * int64_t{few_last} + 2 * int64_t{reads_few_rows(n)} + int64_t{training};
}

}  // namespace

Recompute parse_recompute(std::string_view name) {
  for (const Recompute r : kRecomputes)
    if (recompute_name(r) == name) return r;
  throw UsageError(cat("--recompute=", name, ": not one of none, norm, layer, sqrt"));
}

std::string_view recompute_name(Recompute recompute) {
  constexpr std::string_view kNames[] = {"none", "norm", "layer", "sqrt"};
  return kNames[static_cast<size_t>(recompute)];
}

BlockSizes block_sizes(const StepOptions& o) {
  return {.tokens = o.tokens,
          .longest = o.longest,
          .compute = o.compute,
          .training = o.training,
          .dropout = o.dropout,
          .mlp_rows = o.mlp_rows,
          .weights = o.weights,
          .ahead = Ahead::kYes};
}

// Without a backward pass nothing is kept.
Remade remade(const StepOptions& o) {
  if (!o.training || o.recompute == Recompute::kLayer) return Remade::kMlp;
  return o.recompute == Recompute::kNorm ? Remade::kNorms : Remade::kNothing;
}

StepBuffers take_step_buffers(Arena& arena, const Model& model, const StepOptions& o) {
  const int64_t layers = model.config.layers, c = model.config.hidden_size;
  const BlockSizes sizes = block_sizes(o);
  StepBuffers b;
  b.scratch = take_block_scratch(arena, model, sizes, remade(o));
  // Without a backward pass one slot serves all blocks.
  b.segment = o.training ? segment_length(o.recompute, layers) : 1;
  b.checkpoints = o.training ? (layers - 1) / b.segment : 0;
  const auto resident = [&](int64_t items) {
    return o.offload ? std::min(items, kOffloadSlots) : items;
  };
  for (int64_t i = 0; i < (b.checkpoints == 0 ? resident(b.segment) : b.segment); ++i)
    b.slots.push_back(take_activations(arena, model, sizes, remade(o), b.scratch));
  for (int64_t i = 0; i < resident(b.checkpoints); ++i)
    b.checkpoint_slots.push_back(arena.take(o.compute, {o.tokens, c}));
  if (o.training && o.offload) {
    b.offloaded = b.checkpoints > 0 ? b.checkpoints : layers;
    b.offload_bytes = Offload::item_bytes(
        b.checkpoints > 0 ? std::span<const Tensor>(b.checkpoint_slots.data(), 1)
                          : kept_of(b.slots.front(), remade(o)).span());
  }
  if (o.training) {
    b.dstream = arena.take(o.compute, {o.tokens, b.scratch.gradient_row(c, {kOutput, kDown})});
  }
  b.loss = arena.take(Dtype::kF64, {1});
  b.batch = BatchPlace(arena, o.tokens, o.labelled);
  // The head has the gradients of its rows where the blocks have delta.
  b.head = take_head(arena, model, sizes, o.labelled, b.scratch.delta);
  return b;
}

Step::Step(const Model& model, const StepOptions& options, const RopeTable& rope, Arena& arena)
    : model_(model),
      options_(options),
      rope_(rope),
      buffers_(take_step_buffers(arena, model, options)),
      graphs_(arena.device(), options.graphs, kStepGraphs),
      embedding_trained_(model.embedding.parameter >= 0) {
  weights_.emplace(model, buffers_.scratch.weights, options.compute);
  buffers_.scratch.linear.frozen = &*weights_;
  while (lowest_trained_ < model.config.layers &&
         !trains(model.blocks[static_cast<size_t>(lowest_trained_)]))
    ++lowest_trained_;
  if (!arena.measuring()) zero(buffers_.loss);
  if (buffers_.offloaded > 0 && !arena.measuring())
    offload_ =
        std::make_unique<Offload>(arena.device(), buffers_.offloaded, buffers_.offload_bytes);
  // What leaves has room between rows that is not always written.
  if (offloads_blocks() && buffers_.scratch.linear.weaves != Weaves::kNothing)
    for (const BlockActivations& a : buffers_.slots)
      for (const Tensor& t : kept_of(a, remade(options)).span()) zero(t);
}

BlockActivations Step::activations(int64_t block, int64_t n) const {
  const auto slots = static_cast<int64_t>(buffers_.slots.size());
  return first_rows(buffers_.slots[static_cast<size_t>(block % slots)], n);
}

Tensor Step::checkpoint(int64_t index, int64_t n) const {
  const auto slots = static_cast<int64_t>(buffers_.checkpoint_slots.size());
  return rows(buffers_.checkpoint_slots[static_cast<size_t>(index % slots)], 0, n);
}

void Step::check(const Batch& batch) const {
  CHECK(batch.tokens() > 0 && batch.tokens() <= options_.tokens);
  CHECK(batch.longest <= options_.longest && batch.longest <= rope_.positions);
  CHECK(static_cast<int64_t>(batch.rows.size()) <= options_.labelled);
}

// Blocks [begin, end) from their input stream `start`, which the first block may hold itself.
void Step::run_blocks(const BlockRun& run, int64_t begin, int64_t end, const Tensor& start,
                      Pass pass) {
  const int64_t n = run.batch->tokens(), segment = buffers_.segment;
  for (int64_t l = begin; l < end; ++l) {
    BlockActivations a = activations(l, n);
    if (pass == Pass::kKept && offloads_blocks()) offload_->before_write(l);
    // What comes after the last block of a segment made again is known.
    const bool last = pass == Pass::kAgain && l == end - 1;
    const MlpForward mlp = !last                              ? MlpForward::kAll
                           : remade(options_) == Remade::kMlp ? MlpForward::kNone
                                                              : MlpForward::kNoOutput;
    const int64_t index = l / segment;
    const bool made_again = pass == Pass::kKept && index < buffers_.checkpoints;
    const ReadBack read_back = pass == Pass::kOnly || made_again ? ReadBack::kNo : ReadBack::kYes;
    if (l == begin) {
      a.h_in = start;
      block_forward(run, l, start, {}, a, mlp, read_back);
    } else {
      const Tensor above = activations(l - 1, n).h_mid;
      block_forward(run, l, above, rows(buffers_.scratch.delta, 0, n), a, mlp, read_back);
    }
    if (pass != Pass::kKept) continue;
    if (offloads_blocks()) offload_->written(l, kept_of(a, remade(options_)).span());
    if (l % segment != 0 || index >= buffers_.checkpoints) continue;
    const Tensor kept = checkpoint(index, n);
    if (offload_) offload_->before_write(index);
    cast({.out = kept, .in = a.h_in});
    if (offload_) offload_->written(index, {&kept, 1});
  }
}

Tensor Step::forward_stream(const BlockRun& run, Pass pass) {
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
  run_blocks(run, 0, model_.config.layers, start, pass);
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
    weights_->begin(run_kind(*run.batch, false, options_.mlp_rows));
    const Tensor stream = forward_stream(run, Pass::kOnly);
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
  weights_->begin(run_kind(batch, false, options_.mlp_rows));
  const Tensor stream = forward_stream(run, Pass::kOnly);
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
  const int64_t n = run.batch->tokens(), layers = model_.config.layers, segment = buffers_.segment;
  const int64_t lowest = embedding_trained_ ? 0 : lowest_trained_;
  weights_->begin(run_kind(*run.batch, true, options_.mlp_rows));
  if (offload_) offload_->begin(offloads_blocks() ? lowest : lowest / segment);
  const Tensor stream = forward_stream(run, Pass::kKept);
  const Tensor dstream = rows(buffers_.dstream, 0, n);
  const Tensor dh = columns(dstream, 0, model_.config.hidden_size);
  run_head(model_, run.at, {.stream = stream, .dstream = dh, .loss = buffers_.loss}, buffers_.head);

  const Span span("backward");
  const Remade again = remade(options_);
  for (int64_t begin = (layers - 1) / segment * segment; begin >= 0; begin -= segment) {
    const int64_t end = std::min(layers, begin + segment);
    if (end <= lowest && !embedding_trained_) break;
    const int64_t index = begin / segment;
    const bool kept = index >= buffers_.checkpoints;  // the last segment's are in place
    const Tensor start = kept ? Tensor{} : checkpoint(index, n);
    if (!kept) {
      if (offload_) offload_->before_read(index);
      run_blocks(run, begin, end, start, Pass::kAgain);
    }
    for (int64_t l = end - 1; l >= std::max(begin, lowest); --l) {
      BlockActivations a = activations(l, n);
      if (!kept && l == begin) a.h_in = start;
      if (offloads_blocks()) offload_->before_read(l);
      block_backward(run, l, dstream, a, again, l > lowest || embedding_trained_);
      if (offloads_blocks()) offload_->read(l, kept_of(a, again).span());
    }
    if (!kept && offload_) offload_->read(index, {&start, 1});
  }
  weights_->end();
  if (offload_) offload_->end();
  if (embedding_trained_)
    embedding_backward({.dtable = model_.parameters.gradient(model_.embedding.parameter),
                        .dout = dh,
                        .ids = run.at.ids});
}

}  // namespace nibble
