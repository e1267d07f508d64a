// SPDX-License-Identifier: Apache-2.0
#include "eval/perplexity.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace nibble {
namespace {

// A model laid out for losses of batches up to a size.
class Scorer {
 public:
  Scorer(const Model& model, int64_t tokens, int64_t longest, Dtype compute)
      : rope_(make_rope_table(model.config.rope, model.config.head_dim, longest)) {
    const StepOptions options = {.tokens = tokens,
                                 .longest = longest,
                                 .labelled = tokens,
                                 .compute = compute,
                                 .training = false};
    Arena plan;
    take_step_buffers(plan, model, options);
    arena_ = Arena(plan.peak());
    step_.emplace(model, options, rope_, arena_);
  }

  std::span<const float> losses(const Batch& batch) {
    if (batch.rows.empty()) return {};
    step_->forward(batch);
    return {step_->losses().as<float>(), batch.rows.size()};
  }

 private:
  RopeTable rope_;
  Arena arena_;
  std::optional<Step> step_;
};

void add(Perplexity& sum, std::span<const float> losses) {
  for (const float loss : losses) sum.nll += static_cast<double>(loss);
  sum.tokens += static_cast<int64_t>(losses.size());
}

}  // namespace

double Perplexity::perplexity() const {
  return std::exp(loss());
}

Perplexity text_perplexity(const Model& model, std::span<const int32_t> ids,
                           const PerplexityOptions& o, const TokenScore& score) {
  CHECK(o.context >= 2 && o.stride >= 1 && o.stride <= o.context && o.batch_size >= 1);
  const auto total = static_cast<int64_t>(ids.size());
  Perplexity sum;
  if (total < 2) return sum;
  const int64_t window = std::min(o.context, total);
  Scorer scorer(model, o.batch_size * window, window, o.compute);
  Batch batch;
  std::vector<int64_t> positions;  // of the scored tokens
  std::vector<uint8_t> trained;
  const auto flush = [&] {
    const auto losses = scorer.losses(batch);
    add(sum, losses);
    if (score)
      for (size_t i = 0; i < losses.size(); ++i) score(positions[i], -losses[i]);
    batch.clear();
    positions.clear();
  };
  int64_t scored = 1;  // the first token has nothing before it
  for (int64_t begin = 0; scored < total; begin += o.stride) {
    const int64_t end = std::min(begin + o.context, total);
    trained.assign(static_cast<size_t>(end - begin), 0);
    // A window's first token has nothing before it there: with stride = context it is not scored.
    for (int64_t i = std::max(scored, begin + 1); i < end; ++i) {
      trained[static_cast<size_t>(i - begin)] = 1;
      positions.push_back(i);
    }
    scored = end;
    batch.append(ids.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)),
                 trained);
    if (batch.sequences() == o.batch_size || scored == total) flush();
  }
  return sum;
}

Perplexity shard_perplexity(const Model& model, ShardReader& shard, const PerplexityOptions& o) {
  if (shard.info().trained == 0)
    throw DataError(cat(shard.path().string(), ": no token is trained on; mend its labels"));
  if (shard.info().longest > model.config.max_position)
    throw DataError(cat(shard.path().string(), ": a sequence of ", shard.info().longest,
                        " tokens, but the model's context is ", model.config.max_position,
                        "; pack with --length=", model.config.max_position));
  Scorer scorer(model, o.batch_size * shard.info().row_length, shard.info().longest, o.compute);
  Perplexity sum;
  Batch batch;
  PackedRow row;
  for (int64_t i = 0; i < shard.rows(); ++i) {
    if (i % o.batch_size == 0) batch.clear();
    shard.read(i, row);
    batch.append(row);
    if ((i + 1) % o.batch_size == 0 || i + 1 == shard.rows()) add(sum, scorer.losses(batch));
  }
  return sum;
}

}  // namespace nibble
