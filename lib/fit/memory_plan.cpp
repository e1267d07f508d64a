// SPDX-License-Identifier: Apache-2.0
#include "fit/memory_plan.h"

#include <algorithm>

#include "base/checked.h"
#include "fit/cuda_plan.h"
#include "fit/step_items.h"
#include "fit/weight_bytes.h"
#include "io/nbp_layout.h"
#include "model/device_model.h"

namespace nibble {
namespace {

// A frame of the shard, unpacked: ids, starts and the mask; the reader keeps four.
constexpr int64_t kFrames = 4, kFrameBytesPerToken = 5;
// Per token of a batch: id, position, labelled row, target, start; a row read: id, mask, start.
constexpr int64_t kBatchBytesPerToken = 5 * sizeof(int32_t), kRowBytesPerToken = 9;

uint64_t host_data_bytes(const TrainJob& job) {
  const int64_t frames = kFrames * job.data.frame_tokens * kFrameBytesPerToken;
  const int64_t batches = job.accumulate * job.tokens() * kBatchBytesPerToken;
  return static_cast<uint64_t>(frames + batches + job.row_length * kRowBytesPerToken +
                               job.data.rows * int64_t{sizeof(int64_t)});
}

// What of the mapped weights is never read: rows of an embedding that is no head and not trained,
// where the data has fewer tokens. A fault brings in all of its 64 KiB.
uint64_t unread_bytes(const Model& model, const TrainJob& job) {
  constexpr uint64_t kAround = uint64_t{64} << 10;
  if (model.config.tied_embeddings || model.embedding.parameter >= 0) return 0;
  const auto rows = static_cast<uint64_t>(model.embedding.weight.dim(0));
  const uint64_t row = static_cast<uint64_t>(model.embedding.weight.row_elements()) *
                       dtype_bytes(model.embedding.weight.dtype);
  const auto known =
      static_cast<uint64_t>(job.data.vocabulary > 0 ? job.data.vocabulary : INT64_MAX);
  const uint64_t below = std::min(rows, known) * row;  // ids are numbered from 0
  const auto tokens = static_cast<uint64_t>(job.data_tokens);
  if (tokens >= rows) return rows * row - below;
  return rows * row - std::min(below, tokens * round_up(row, kAround));
}

// Where every weight is trained, values are copies and the mapped ones are given back.
bool all_trained(const Model& model) {
  const auto linears = model.projections();
  return model.embedding.parameter >= 0 && model.norm.parameter >= 0 &&
         model.head.weight_parameter >= 0 &&
         std::all_of(linears.begin(), linears.end(),
                     [](const Projection* p) { return p->weight_parameter >= 0; });
}

uint64_t sum_of(const MemoryPlan::Items& items) {
  uint64_t sum = 0;
  for (const auto& [name, bytes] : items) sum += bytes;
  return sum;
}

uint64_t bytes_of(const MemoryPlan::Items& items, std::string_view item) {
  for (const auto& [name, bytes] : items)
    if (name == item) return bytes;
  return 0;
}

}  // namespace

uint64_t MemoryPlan::total() const {
  return sum_of(items);
}
uint64_t MemoryPlan::host_total() const {
  return sum_of(host);
}
uint64_t MemoryPlan::of(std::string_view item) const {
  return bytes_of(items, item);
}
uint64_t MemoryPlan::of_host(std::string_view item) const {
  return bytes_of(host, item);
}

void MemoryPlan::add(Items& items, std::string_view item, uint64_t bytes) {
  if (bytes == 0) return;
  for (auto& [name, sum] : items)
    if (name == item) {
      sum += bytes;
      return;
    }
  items.emplace_back(item, bytes);
}

int64_t TrainJob::tokens() const {
  return std::max<int64_t>(1, std::min(batch_size * row_length, data_tokens));
}

StepOptions TrainJob::step_options() const {
  return {.tokens = tokens(),
          .longest = std::min(longest, tokens()),
          .labelled = tokens(),
          .compute = compute,
          .recompute = recompute,
          .dropout = dropout,
          .neftune_alpha = neftune_alpha,
          .weights = weights,
          .graphs = graphs,
          .offload = offload};
}

void add_shard(TrainJob& job, const ShardReader& shard) {
  const ShardInfo& info = shard.info();
  const bool first = job.data.rows == 0;
  const auto most = [&](int64_t& value, int64_t of) { value = first ? of : std::max(value, of); };
  most(job.row_length, info.row_length);
  most(job.longest, info.longest);
  most(job.data_tokens, info.tokens);
  job.data.rows += info.rows;
  job.data.vocabulary = std::max(job.data.vocabulary, info.vocab_size);
  job.data.frame_tokens +=
      std::min(info.tokens, nbp::rows_per_frame(info.row_length) * info.row_length);
  std::error_code error;
  const auto bytes = fs::file_size(shard.path(), error);
  if (!error) job.data.mapped_bytes += bytes;
}

uint64_t rope_bytes(const ModelConfig& config, int64_t positions) {
  Arena arena;
  for (int i = 0; i < 2; ++i) arena.take(Dtype::kF32, {positions, config.head_dim / 2});
  return arena.peak();
}

uint64_t weight_bytes(const Model& model) {
  if (!model.store) return weight_bytes(model.config);
  uint64_t sum = 0;
  for (const auto& [name, t] : model.store->tensors()) sum += t.info.bytes;
  return sum;
}

TrainingPlanner::TrainingPlanner(const Model& model)
    : model_(model),
      weights_(model),
      stored_(weight_bytes(model)),
      all_trained_(all_trained(model)),
      counts_(state_counts(model.parameters)) {}

MemoryPlan TrainingPlanner::plan(const TrainJob& job) const {
  const bool cuda = job.device == DeviceKind::kCuda;
  const StepOptions step = job.step_options();
  MemoryPlan plan;
  if (cuda) {
    const WeightBytes weights = weights_.of(job.weights);
    plan.add("weights (copied to the device)", weights.device);
    plan.add_host("weights, pinned", weights.host);
  } else if (!all_trained_) {
    plan.add("weights (mapped)", stored_ - unread_bytes(model_, job));
  }

  // As ParameterSet::lay_out: values, gradients, and the copy that matmuls read.
  const ParameterSet& parameters = model_.parameters;
  const size_t values = parameters.bytes(job.compute, false);
  plan.add("trained parameters", values);
  plan.add("gradients", parameters.bytes(job.compute, true) - values);
  if (cuda)
    plan.add_host("trained parameters, for checkpoints", parameters.bytes(Dtype::kF32, false));
  add_optimizer(plan, job);

  Arena arena({job.device, 0});
  const StepBuffers buffers = take_step_buffers(arena, model_, step);
  add_step_items(plan, buffers, step, arena.peak());
  plan.add_host("activations, pinned",
                Offload::host_bytes(buffers.offloaded, buffers.offload_bytes));
  plan.add("rotary table", rope_bytes(model_.config, step.longest));
  if (cuda) {
    add_cuda_items(plan, step_graph_nodes(model_.config, step));
  } else {
    plan.add("data (shard mapped, batches)", job.data.mapped_bytes + host_data_bytes(job));
    plan.add("program and libraries", kProgramBytes);
  }
  return plan;
}

void TrainingPlanner::add_optimizer(MemoryPlan& plan, const TrainJob& job) const {
  const Device device{job.device, 0};
  Arena state(device), beside(device);
  take_optimizer_state(state, job.optimizer, counts_);
  take_clip_factors(beside);
  if (job.optimizer.paged && device.on_cuda()) {
    const int64_t elements = job.optimizer.page_elements;
    auto [sizes, is_new] = page_sizes_.try_emplace(elements);
    if (is_new) sizes->second = page_sizes(state_pages(model_.parameters.segments(0.0f), elements));
    take_page_slots(beside, job.optimizer, sizes->second);
    plan.add("optimizer pages", beside.peak());
    plan.add_host("optimizer state, pinned", state.peak());
  } else {
    plan.add("optimizer state", state.peak() + beside.peak());
  }
}

MemoryPlan plan_training(const Model& model, const TrainJob& job) {
  return TrainingPlanner(model).plan(job);
}

}  // namespace nibble
