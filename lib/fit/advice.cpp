// SPDX-License-Identifier: Apache-2.0
#include "fit/advice.h"

#include <algorithm>
#include <bit>

#include "base/checked.h"
#include "fit/choose.h"

namespace nibble {
namespace {

// Share of time that is worth one option less to type.
constexpr double kPerOption = 0.01;

std::string mebibytes(uint64_t bytes) {
  return cat(ceil_div<uint64_t>(bytes, 1 << 20), " MiB");
}

// The job with its micro-batches cut into `parts`: the same updates.
TrainJob divided(TrainJob job, int64_t parts) {
  job.accumulate *= parts;
  job.batch_size /= parts;
  return job;
}

std::vector<TrainJob> variants(const Model& model, const TrainJob& job, uint64_t limit) {
  std::vector<TrainJob> out;
  std::vector<std::string> optimizers = {job.optimizer.name};
  if (job.optimizer.name == "adamw") optimizers.push_back("adamw-8bit");
  for (int64_t parts = 1; parts <= job.batch_size; ++parts) {
    const bool tried = std::has_single_bit(static_cast<uint64_t>(parts)) || parts == job.batch_size;
    if (!tried || job.batch_size % parts != 0) continue;
    for (const std::string& optimizer : optimizers) {
      TrainJob v = divided(job, parts);
      v.optimizer.name = optimizer;
      v.optimizer.paged = v.offload = false;
      v.weights = {};
      for (TrainJob& set : memory_settings(model, v, Open{}, limit)) out.push_back(std::move(set));
    }
  }
  return out;
}

std::vector<std::string> differences(const TrainJob& asked, const TrainJob& job) {
  std::vector<std::string> out;
  if (job.recompute != asked.recompute)
    out.push_back(cat("--recompute=", recompute_name(job.recompute)));
  if (job.offload && !asked.offload) out.push_back("--offload-activations");
  if (job.weights.kept_layers != asked.weights.kept_layers)
    out.push_back(cat("--keep-weights=", job.weights.kept_layers));
  if (job.weights.streamed_layers != asked.weights.streamed_layers)
    out.push_back(cat("--stream-weights=", job.weights.streamed_layers));
  if (job.weights.host_embedding && !asked.weights.host_embedding)
    out.push_back("--host-embedding");
  if (optimizer_name(job.optimizer) != optimizer_name(asked.optimizer))
    out.push_back(cat("--optimizer=", optimizer_name(job.optimizer)));
  if (job.batch_size != asked.batch_size) {
    out.push_back(cat("--batch-size=", job.batch_size));
    out.push_back(cat("--accumulate=", job.accumulate));
  }
  return out;
}

double seconds_of(const Model& model, const TrainJob& job, const Rates& rates) {
  return training_cost(model, job).seconds(rates, job.accumulate);
}

}  // namespace

std::vector<Remedy> remedies(const Model& model, const TrainJob& job, uint64_t limit,
                             const Rates& rates) {
  const double now = seconds_of(model, job, rates);
  std::vector<Remedy> all;
  for (const TrainJob& v : variants(model, job, limit)) {
    const uint64_t bytes = plan_training(model, v).total();
    if (bytes > limit) continue;
    all.push_back({v, differences(job, v), bytes, seconds_of(model, v, rates) / now - 1.0});
  }
  // Between nearly equal times, what changes less comes first.
  const auto cost = [](const Remedy& r) {
    return r.slower + kPerOption * static_cast<double>(r.options.size());
  };
  std::stable_sort(all.begin(), all.end(),
                   [&](const Remedy& a, const Remedy& b) { return cost(a) < cost(b); });
  std::vector<Remedy> out;
  for (Remedy& r : all)
    if (out.empty() || r.bytes < out.back().bytes) out.push_back(std::move(r));
  return out;
}

uint64_t least_bytes(const Model& model, const TrainJob& job) {
  uint64_t least = std::numeric_limits<uint64_t>::max();
  for (const TrainJob& v : variants(model, job, 0))
    least = std::min(least, plan_training(model, v).total());
  return least;
}

std::string refusal(const Model& model, const TrainJob& job, const MemoryPlan& plan, uint64_t limit,
                    bool limit_given, const Rates& rates) {
  const std::string fault =
      cat("the plan needs ", mebibytes(plan.total()),
          limit_given ? ", --memory-limit allows " : ", this machine has ", limit >> 20, " MiB; ");
  const auto found = remedies(model, job, limit, rates);
  if (found.empty())
    return cat(fault, "with any --recompute, --optimizer and --batch-size it needs ",
               mebibytes(least_bytes(model, job)), ", so take shorter rows or a smaller model");
  std::string options;
  for (const std::string& option : found.front().options) options += option + " ";
  return cat(fault, "it fits with ", options, "(", mebibytes(found.front().bytes), ")");
}

}  // namespace nibble
