// SPDX-License-Identifier: Apache-2.0
#include "fit/choose.h"

#include <algorithm>
#include <utility>

#include "fit/weight_choice.h"
#include "model/device_model.h"

namespace nibble {

std::vector<std::string> changed_options(const TrainJob& asked, const TrainJob& job) {
  const WeightPlacement &was = asked.weights, &is = job.weights;
  std::vector<std::string> out;
  if (job.recompute != asked.recompute)
    out.push_back(cat("--recompute=", recompute_name(job.recompute)));
  if (job.offload && !asked.offload) out.push_back("--offload-activations");
  if (optimizer_name(job.optimizer) != optimizer_name(asked.optimizer))
    out.push_back(cat("--optimizer=", optimizer_name(job.optimizer)));
  if (is.kept_layers != was.kept_layers) out.push_back(cat("--keep-weights=", is.kept_layers));
  if (is.streamed_layers != was.streamed_layers)
    out.push_back(cat("--stream-weights=", is.streamed_layers));
  if (is.host_embedding && !was.host_embedding) out.push_back("--host-embedding");
  if (job.batch_size != asked.batch_size) {
    out.push_back(cat("--batch-size=", job.batch_size));
    out.push_back(cat("--accumulate=", job.accumulate));
  }
  return out;
}

std::string memory_options(const TrainJob& job) {
  TrainJob plain = job;
  plain.offload = plain.optimizer.paged = false;
  plain.weights = {};
  std::string out = cat("--recompute=", recompute_name(job.recompute));
  for (const std::string& option : changed_options(plain, job)) out += " " + option;
  return out;
}

std::vector<TrainJob> memory_settings(const TrainingPlanner& planner, const TrainJob& job,
                                      const Open& open, const MemoryLimits& limits) {
  constexpr bool kOffOn[] = {false, true};
  const Model& model = planner.model();
  const bool cuda = job.device == DeviceKind::kCuda;
  std::vector<TrainJob> out = {job};
  // Every job so far, with each of the values.
  const auto vary = [&out](bool may, const auto& values, const auto& set) {
    if (!may) return;
    std::vector<TrainJob> varied;
    for (const TrainJob& j : out)
      for (const auto& value : values) {
        varied.push_back(j);
        set(varied.back(), value);
      }
    out = std::move(varied);
  };
  vary(open.recompute, kRecomputes, [](TrainJob& j, Recompute r) { j.recompute = r; });
  vary(open.offload && cuda, kOffOn, [](TrainJob& j, bool on) { j.offload = on; });
  vary(open.paged && cuda && job.optimizer.name != "sgd", kOffOn,
       [](TrainJob& j, bool on) { j.optimizer.paged = on; });
  vary(open.embedding && cuda && embedding_may_leave(model), kOffOn,
       [](TrainJob& j, bool on) { j.weights.host_embedding = on; });
  if (!cuda) return out;
  for (TrainJob& j : out) {
    if (open.stream && j.weights.kept_layers == 0)
      j.weights.streamed_layers = layers_to_stream(planner, j, limits);
    if (open.keep && j.weights.streamed_layers == 0)
      j.weights.kept_layers = layers_to_keep(planner, j, limits);
  }
  return out;
}

TrainJob choose_memory(const TrainingPlanner& planner, const TrainJob& job, const Open& open,
                       const MemoryLimits& limits, const Rates& rates) {
  const auto settings = memory_settings(planner, job, open, limits);
  const TrainJob *fastest = nullptr, *least = nullptr;
  double seconds = 0.0;
  std::pair<uint64_t, uint64_t> bytes;  // that the host lacks, and that the device needs
  for (const TrainJob& j : settings) {
    const MemoryPlan plan = planner.plan(j);
    const uint64_t host = plan.host_total();
    const std::pair needs(host - std::min(host, limits.host), plan.total());
    if (!least || needs < bytes) {
      least = &j;
      bytes = needs;
    }
    if (!limits.hold(plan)) continue;
    const double takes = training_cost(planner.model(), j).seconds(rates, j.accumulate);
    if (fastest && takes >= seconds) continue;
    fastest = &j;
    seconds = takes;
  }
  return fastest ? *fastest : *least;
}

}  // namespace nibble
