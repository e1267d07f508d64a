// SPDX-License-Identifier: Apache-2.0
#include "eval/perplexity.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "model/device_model.h"

namespace nibble {
namespace {

// A model laid out for losses of batches up to a size.
class Scorer {
 public:
  Scorer(const Model& host, int64_t tokens, int64_t longest, const PerplexityOptions& o)
      : rope_(make_rope_table(host.config.rope, host.config.head_dim, longest)) {
    const StepOptions options = {.tokens = tokens,
                                 .longest = longest,
                                 .labelled = tokens,
                                 .compute = o.compute,
                                 .training = false};
    placed_.lay_out(host, o.device, o.compute, [&](Arena& arena, const Model& model) {
      place_rope_table(rope_, arena);
      step_.emplace(model, options, rope_, arena);
    });
  }

  std::span<const float> losses(const Batch& batch) {
    if (batch.rows.empty()) return {};
    const StreamScope scope(placed_.stream());
    step_->forward(batch);
    losses_.resize(batch.rows.size());
    const auto count = static_cast<int64_t>(losses_.size());
    copy(view(losses_.data(), {count}), rows(step_->losses(), 0, count));
    synchronize();
    return losses_;
  }

 private:
  RopeTable rope_;
  PlacedModel placed_;
  std::vector<float> losses_;
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

Perplexity rows_perplexity(const Model& model, std::span<const TokenRow> rows,
                           const PerplexityOptions& o, const RowScore& score) {
  CHECK(o.context >= 2 && o.stride >= 1 && o.stride <= o.context && o.batch_size >= 1);
  Perplexity sum;
  size_t longest = 0;
  for (const TokenRow& row : rows) longest = std::max(longest, row.tokens.size());
  if (longest < 2) return sum;
  const int64_t most = std::min(o.context, static_cast<int64_t>(longest));
  Scorer scorer(model, o.batch_size * most, most, o);
  Batch batch;
  std::vector<std::pair<size_t, int64_t>> scored;  // row and position of the batch's targets
  std::vector<uint8_t> trained;
  const auto flush = [&] {
    const auto losses = scorer.losses(batch);
    add(sum, losses);
    if (score)
      for (size_t i = 0; i < losses.size(); ++i)
        score(scored[i].first, scored[i].second, -losses[i]);
    batch.clear();
    scored.clear();
  };
  for (size_t r = 0; r < rows.size(); ++r) {
    const TokenRow& row = rows[r];
    const auto total = static_cast<int64_t>(row.tokens.size());
    int64_t done = 1;  // the first token has nothing before it
    for (int64_t begin = 0; done < total; begin += o.stride) {
      const int64_t end = std::min(begin + o.context, total);
      trained.assign(static_cast<size_t>(end - begin), 0);
      const size_t before = scored.size();
      // A window's first token has nothing before it there: with stride = context it is not scored.
      for (int64_t i = std::max(done, begin + 1); i < end; ++i) {
        if (!row.trained[static_cast<size_t>(i)]) continue;
        trained[static_cast<size_t>(i - begin)] = 1;
        scored.emplace_back(r, i);
      }
      done = end;
      if (scored.size() == before) continue;
      batch.append(std::span(row.tokens)
                       .subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)),
                   trained);
      if (batch.sequences() == o.batch_size) flush();
    }
  }
  if (!scored.empty()) flush();
  return sum;
}

Perplexity text_perplexity(const Model& model, std::span<const int32_t> ids,
                           const PerplexityOptions& options, const TokenScore& score) {
  TokenRow row;
  row.tokens.assign(ids.begin(), ids.end());
  row.trained.assign(ids.size(), 1);
  RowScore of_row;
  if (score) of_row = [&](size_t, int64_t position, float value) { score(position, value); };
  return rows_perplexity(model, {&row, 1}, options, of_row);
}

Perplexity shard_perplexity(const Model& model, ShardReader& shard, const PerplexityOptions& o) {
  if (shard.info().trained == 0)
    throw DataError(cat(shard.path().string(), ": no token is trained on; mend its labels"));
  if (shard.info().longest > model.config.max_position)
    throw DataError(cat(shard.path().string(), ": a sequence of ", shard.info().longest,
                        " tokens, but the model's context is ", model.config.max_position,
                        "; pack with --length=", model.config.max_position));
  Scorer scorer(model, o.batch_size * shard.info().row_length, shard.info().longest, o);
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
