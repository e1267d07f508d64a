// SPDX-License-Identifier: Apache-2.0
#include "eval/likelihood.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "base/profile.h"
#include "base/threads.h"
#include "kernels/cross_entropy.h"
#include "kernels/elementwise.h"
#include "model/device_model.h"
#include "model/step.h"
#include "tensor/memory.h"

namespace nibble {
namespace {

int64_t longest_of(const LikelihoodGroup& group) {
  size_t longest = 0;
  for (const ScoredIds& s : group.sequences) longest = std::max(longest, s.ids.size());
  return static_cast<int64_t>(longest);
}

// The groups in the order in which they are read, cut into batches.
struct Plan {
  std::vector<size_t> order;
  std::vector<size_t> ends;     // of the batches, in `order`
  std::vector<int64_t> tokens;  // of the batches, at most
  int64_t longest = 0, rows = 0;
};

Plan make_plan(std::span<const LikelihoodGroup> groups, int64_t batch_tokens) {
  Plan plan;
  plan.order.resize(groups.size());
  std::iota(plan.order.begin(), plan.order.end(), size_t{0});
  std::stable_sort(plan.order.begin(), plan.order.end(), [&](size_t a, size_t b) {
    if (groups[a].kin != groups[b].kin) return groups[a].kin < groups[b].kin;
    return longest_of(groups[a]) > longest_of(groups[b]);
  });
  const ScoredIds* before = nullptr;
  int64_t tokens = 0, rows = 0;
  const auto close = [&](size_t end) {
    if (tokens == 0) return;
    plan.ends.push_back(end);
    plan.tokens.push_back(tokens);
    plan.rows = std::max(plan.rows, rows);
    tokens = rows = 0;
    before = nullptr;
  };
  for (size_t i = 0; i < plan.order.size(); ++i) {
    const auto& sequences = groups[plan.order[i]].sequences;
    const auto cost = [&] {
      int64_t added = 0;
      const ScoredIds* last = before;
      for (const ScoredIds& s : sequences) {
        added += added_tokens(s, last);
        last = &s;
      }
      return added;
    };
    int64_t added = cost();
    if (tokens > 0 && tokens + added > batch_tokens) {
      close(i);
      added = cost();
    }
    tokens += added;
    for (const ScoredIds& s : sequences) {
      rows += static_cast<int64_t>(s.ids.size()) - s.first;
      plan.longest = std::max(plan.longest, static_cast<int64_t>(s.ids.size()) - 1);
      before = &s;
    }
  }
  close(plan.order.size());
  return plan;
}

class Runner {
 public:
  Runner(const Model& host, const Plan& plan, const LikelihoodOptions& o)
      : device_(o.device),
        rope_(make_rope_table(host.config.rope, host.config.head_dim, plan.longest)) {
    const StepOptions options = {.tokens = *std::ranges::max_element(plan.tokens),
                                 .longest = plan.longest,
                                 .labelled = plan.rows,
                                 .compute = o.compute,
                                 .training = false};
    placed_.lay_out(host, o.device, o.compute, [&](Arena& arena, const Model& model) {
      place_rope_table(rope_, arena);
      losses_ = arena.take(Dtype::kF32, {plan.rows});
      targets_ = arena.take(Dtype::kI32, {plan.rows});
      step_.emplace(model, options, rope_, arena);
    });
  }

  void run(std::span<const ScoredIds* const> sequences, std::span<Likelihood> out) {
    const StreamScope scope(placed_.stream());
    sequences_ = sequences;
    make_tree(sequences, batch_, predictions_);
    values_.resize(predictions_.size());
    step_->for_logits(batch_, [&](int64_t first, const Tensor& logits) { read(first, logits); });
    for (size_t i = 0; i < predictions_.size(); ++i) {
      Likelihood& l = out[static_cast<size_t>(predictions_[i].sequence)];
      l.sum += static_cast<double>(values_[i].log_probability);
      l.greedy = l.greedy && values_[i].greedy;
      ++l.tokens;
    }
  }

 private:
  struct Value {
    float log_probability = 0.0f;
    bool greedy = false;
  };

  // On a device, a copy of its logits and losses; waits for it.
  Tensor on_host(const Tensor& logits, const Tensor& losses) {
    host_losses_.resize(static_cast<size_t>(losses.dim(0)));
    copy(view(host_losses_.data(), {losses.dim(0)}), losses);
    if (!device_.on_cuda()) return logits;
    const size_t bytes = logits.bytes();
    if (bytes > host_bytes_) {
      host_logits_ = HostMemory(bytes, device_);
      host_bytes_ = bytes;
    }
    const Tensor host =
        make_tensor(host_logits_.data(), logits.dtype, {logits.dim(0), logits.dim(1)});
    copy(host, logits);
    synchronize();
    return host;
  }

  // The predictions of rows [first, first + m).
  void read(int64_t first, const Tensor& head_logits) {
    const Span span("read logits");
    const int64_t m = head_logits.dim(0), v = head_logits.dim(1);
    const int32_t* targets = batch_.targets.data() + first;
    const Tensor losses = rows(losses_, 0, m), device_targets = rows(targets_, 0, m);
    copy(device_targets, view(targets, {m}));
    cross_entropy({.losses = losses, .logits = head_logits, .targets = device_targets});
    const Tensor logits = on_host(head_logits, losses);
    const auto from = std::ranges::lower_bound(predictions_, first, {}, &Prediction::row);
    const auto to = std::ranges::lower_bound(predictions_, first + m, {}, &Prediction::row);
    const auto base = from - predictions_.begin();
    parallel_for(to - from, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> copy;
      int32_t held = -1;  // the row that is in `copy`
      for (int64_t i = begin; i < end; ++i) {
        const Prediction& p = from[i];
        const int64_t r = p.row - first;
        const float* row =
            logits.dtype == Dtype::kF32 ? logits.as<float>() + r * logits.row_stride : nullptr;
        if (!row) {
          copy.resize(static_cast<size_t>(v));
          if (held != p.row)
            cast({.out = view(copy.data(), {1, v}), .in = rows(logits, r, 1)}, Stream{});
          held = p.row;
          row = copy.data();
        }
        const auto id = token(p);
        const float log_sum = host_losses_[static_cast<size_t>(r)] + row[targets[r]];
        values_[static_cast<size_t>(base + i)] = {row[id] - log_sum, is_largest(row, v, id)};
      }
    });
    for (const float loss : host_losses_)
      if (!std::isfinite(loss))
        throw DataError(cat(placed_.model().store->path().string(), ": the logits are not finite",
                            "; look for NaN with nibble-inspect --stats"));
  }

  // Of equal logits the first counts as the largest.
  static bool is_largest(const float* row, int64_t v, int64_t id) {
    const float x = row[id];
    return std::none_of(row, row + id, [x](float y) { return y >= x; }) &&
           std::none_of(row + id + 1, row + v, [x](float y) { return y > x; });
  }

  int32_t token(const Prediction& p) const {
    return sequences_[static_cast<size_t>(p.sequence)]->ids[static_cast<size_t>(p.token)];
  }

  Device device_;
  RopeTable rope_;
  PlacedModel placed_;
  Tensor losses_, targets_;
  std::vector<float> host_losses_;
  HostMemory host_logits_;
  size_t host_bytes_ = 0;
  std::optional<Step> step_;
  std::span<const ScoredIds* const> sequences_;
  Batch batch_;
  std::vector<Prediction> predictions_;
  std::vector<Value> values_;
};

}  // namespace

void score_groups(const Model& model, std::span<const LikelihoodGroup> groups,
                  const LikelihoodOptions& options,
                  const std::function<void(size_t, std::span<const Likelihood>)>& done,
                  const std::function<void(const LikelihoodProgress&)>& progress) {
  if (groups.empty()) return;
  const Plan plan = make_plan(groups, options.batch_tokens);
  CHECK(plan.longest <= model.config.max_position);
  Runner runner(model, plan, options);
  LikelihoodProgress state;
  state.all = std::accumulate(plan.tokens.begin(), plan.tokens.end(), int64_t{0});
  size_t begin = 0;
  std::vector<const ScoredIds*> sequences;
  std::vector<Likelihood> results;
  for (size_t b = 0; b < plan.ends.size(); ++b) {
    if (progress) progress(state);
    sequences.clear();
    for (size_t i = begin; i < plan.ends[b]; ++i)
      for (const ScoredIds& s : groups[plan.order[i]].sequences) sequences.push_back(&s);
    results.assign(sequences.size(), {});
    runner.run(sequences, results);
    size_t at = 0;
    for (; begin < plan.ends[b]; ++begin) {
      const size_t group = plan.order[begin], count = groups[group].sequences.size();
      done(group, std::span(results).subspan(at, count));
      at += count;
    }
    state.done += plan.tokens[b];
  }
  if (progress) progress(state);
}

}  // namespace nibble
