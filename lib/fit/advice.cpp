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

// The optimizers that update as this one does, or nearly.
std::vector<std::string> optimizers_of(const TrainJob& job) {
  std::vector<std::string> out = {job.optimizer.name};
  if (job.optimizer.name == "adamw") out.push_back("adamw-8bit");
  return out;
}

void add_settings(std::vector<TrainJob>& out, const TrainingPlanner& planner, TrainJob job,
                  const MemoryLimits& limits) {
  for (const std::string& optimizer : optimizers_of(job)) {
    job.optimizer.name = optimizer;
    job.optimizer.paged = job.offload = false;
    job.weights = {};
    for (TrainJob& set : memory_settings(planner, job, Open{}, limits))
      out.push_back(std::move(set));
  }
}

std::vector<TrainJob> variants(const TrainingPlanner& planner, const TrainJob& job,
                               const MemoryLimits& limits) {
  std::vector<TrainJob> out;
  for (int64_t parts = 1; parts <= job.batch_size; ++parts) {
    const bool tried = std::has_single_bit(static_cast<uint64_t>(parts)) || parts == job.batch_size;
    if (tried && job.batch_size % parts == 0)
      add_settings(out, planner, divided(job, parts), limits);
  }
  return out;
}

double seconds_of(const Model& model, const TrainJob& job, const Rates& rates) {
  return training_cost(model, job).seconds(rates, job.accumulate);
}

}  // namespace

std::vector<Remedy> remedies(const TrainingPlanner& planner, const TrainJob& job,
                             const MemoryLimits& limits, const Rates& rates) {
  // Where not even a host without end would do, the search is not begun.
  if (least_bytes(planner, job, std::numeric_limits<uint64_t>::max()) > limits.device) return {};
  const Model& model = planner.model();
  const double now = seconds_of(model, job, rates);
  std::vector<Remedy> all;
  for (const TrainJob& v : variants(planner, job, limits)) {
    const MemoryPlan plan = planner.plan(v);
    if (!limits.hold(plan)) continue;
    all.push_back(
        {v, changed_options(job, v), plan.total(), seconds_of(model, v, rates) / now - 1.0});
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

uint64_t least_bytes(const TrainingPlanner& planner, const TrainJob& job, uint64_t host) {
  uint64_t least = std::numeric_limits<uint64_t>::max();
  std::vector<TrainJob> settings;  // a row at a time needs least
  add_settings(settings, planner, divided(job, job.batch_size), {.device = 0, .host = host});
  for (const TrainJob& v : settings) {
    const MemoryPlan plan = planner.plan(v);
    if (plan.host_total() <= host) least = std::min(least, plan.total());
  }
  return least;
}

std::string refusal(const TrainingPlanner& planner, const TrainJob& job, const MemoryLimits& limits,
                    LimitsGiven given, const Rates& rates) {
  const MemoryPlan plan = planner.plan(job);
  const bool device = plan.total() > limits.device;
  const std::string fault =
      device
          ? cat("the plan needs ", mebibytes(plan.total()),
                given.device ? ", --memory-limit allows " : ", this machine has ",
                limits.device >> 20, " MiB; ")
          : cat("the plan needs ", mebibytes(plan.host_total()), " of the host's memory, ",
                given.host ? "--host-memory allows " : "which has ", limits.host >> 20, " MiB; ");
  const auto found = remedies(planner, job, limits, rates);
  if (found.empty())
    return cat(fault, "with any --recompute, --optimizer and --batch-size it needs ",
               mebibytes(least_bytes(planner, job, limits.host)),
               ", so take shorter rows or a smaller model");
  std::string options;
  for (const std::string& option : found.front().options) options += option + " ";
  return cat(fault, "it fits with ", options, "(", mebibytes(found.front().bytes), ")");
}

}  // namespace nibble
