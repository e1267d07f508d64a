// SPDX-License-Identifier: Apache-2.0
#include "train/run.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/quote.h"
#include "base/signals.h"
#include "fit/advice.h"
#include "fit/catalogue.h"
#include "fit/choose.h"
#include "fit/target.h"
#include "io/memory.h"
#include "model/adapter.h"
#include "model/add_tokens.h"
#include "tensor/cuda.h"
#include "text/copy_tokenizer.h"
#include "train/loop_state.h"

namespace nibble {
namespace {

void check_shard(const ShardReader& shard, const Model& model, const std::string& fingerprint) {
  const ShardInfo& info = shard.info();
  const std::string place = shard.path().string();
  expect_examples(shard);
  if (info.rows == 0) throw DataError(cat(place, ": no rows; is its input empty?"));
  if (info.tokenizer != fingerprint)
    throw DataError(cat(place, ": made with another tokenizer than the model's",
                        "; tokenize and pack with --model of this model"));
  if (info.vocab_size > model.config.vocab_size)
    throw DataError(cat(place, ": ids up to ", info.vocab_size, ", but the model knows ",
                        model.config.vocab_size, "; use its own tokenizer"));
  if (info.longest > model.config.max_position)
    throw DataError(cat(place, ": a sequence of ", info.longest,
                        " tokens, but the model's context is ", model.config.max_position,
                        "; pack with --length=", model.config.max_position));
}

// A name among others that matches nothing is a slip: PEFT takes it, and trains less than was
// meant.
void check_targets(const Model& model, const std::vector<std::string>& targets) {
  for (const std::string& target : targets) {
    const auto all = model.projections();
    const bool matches = std::any_of(all.begin(), all.end(), [&](const Projection* p) {
      return p->name == target || p->name.ends_with("." + target);
    });
    if (!matches && target != "all-linear")
      throw UsageError(cat("--targets: ", quote(target), " names no linear layer of the model"));
  }
}

// What there is to plan in, what of it is free, and how fast it is where that is known.
struct Room {
  MemoryLimits all, free;
  Rates rates;
};
Room room_of(Device device) {
  if (!device.on_cuda()) return {{memory_total()}, {memory_available()}, {}};
  const cuda::DeviceFacts facts = cuda::device_facts(device.index);
  return {{facts.memory, memory_total()},
          {facts.free, pinnable_memory()},
          known_device(gpu_catalogue(""), facts.name, facts.memory).rates};
}

}  // namespace

TrainingRun::State::State(const TrainOptions& o)
    : options(o), model(load_model(o.model)), train_shard(o.data) {
  if (!o.validation.empty()) valid_shard.emplace(o.validation);
  // New tokens come first: embedding and head grow, and the data is made of the longer vocabulary.
  std::string fingerprint;
  if (!o.add_tokens.empty()) {
    extended.emplace(o.model, read_token_list(o.add_tokens));
    add_tokens(model, options.lora, extended->tokenizer());
    fingerprint = extended->tokenizer().fingerprint;
  } else {
    const bool own = !o.adapter.empty() && has_tokenizer(o.adapter);
    fingerprint = load_tokenizer(own ? o.adapter : o.model)->fingerprint;
  }
  release_free_memory();  // a large vocabulary leaves tens of MiB behind
  if (o.method == "full") {
    attach_full(model);
  } else if (!o.adapter.empty()) {
    const double dropout = options.lora.dropout;
    options.lora = attach_adapter(model, o.adapter);
    options.lora.dropout = dropout;
  } else {
    options.lora.base_model = o.model;
    attach_lora(model, options.lora);
    check_targets(model, options.lora.targets);
  }
  // An adapter may have brought a longer vocabulary.
  check_shard(train_shard, model, fingerprint);
  if (valid_shard) check_shard(*valid_shard, model, fingerprint);

  const ShardInfo& info = train_shard.info();
  order.emplace(RowOrder::Options{.rows = info.rows,
                                  .batch_size = o.batch_size,
                                  .accumulate = o.accumulate,
                                  .shuffle = o.shuffle,
                                  .seed = o.seed});
  total_steps =
      o.steps ? *o.steps
              : std::max<int64_t>(
                    1, std::llround(o.epochs * static_cast<double>(order->steps_per_epoch())));
  schedule = make_schedule(o.schedule, o.learning_rate, o.warmup, total_steps, o.decay_share,
                           o.min_learning_rate);

  lay_out();
}

TrainJob TrainingRun::State::job() const {
  const TrainOptions& o = options;
  TrainJob job{.batch_size = o.batch_size,
               .accumulate = o.accumulate,
               .compute = o.compute,
               .recompute = o.recompute.value_or(Recompute::kNone),
               .weights = placement_asked(o.weights, model, o.device.kind),
               .offload = o.offload_activations,
               .graphs = o.graphs,
               .dropout = o.method == "full" ? 0.0f : static_cast<float>(o.lora.dropout),
               .neftune_alpha = static_cast<float>(o.neftune_alpha),
               .optimizer = {.weight_decay = o.weight_decay,
                             .beta1 = o.beta1,
                             .beta2 = o.beta2,
                             .epsilon = o.epsilon,
                             .momentum = o.momentum},
               .device = o.device.kind};
  set_optimizer(job.optimizer, o.optimizer);
  add_shard(job, train_shard);
  if (valid_shard) add_shard(job, *valid_shard);
  return job;
}

void TrainingRun::State::lay_out() {
  TrainJob wanted = job();
  // Where no limit is given, what is free decides how much is made again, and all there is, what
  // cannot run at all.
  const Room room = room_of(options.device);
  const LimitsGiven given{options.memory_limit > 0, options.host_memory > 0};
  MemoryLimits limits = room.all, wished = room.free;
  if (given.device) limits.device = wished.device = options.memory_limit;
  if (given.host) limits.host = wished.host = options.host_memory;
  const Rates rates = rates_or_typical(room.rates, options.device.kind);
  const TrainingPlanner planner(model);
  wanted = choose_memory(planner, wanted,
                         {.recompute = !options.recompute,
                          .offload = !options.offload_activations,
                          .paged = !wanted.optimizer.paged,
                          .keep = options.weights.keep == "auto",
                          .stream = options.weights.stream == "auto",
                          .embedding = !options.weights.host_embedding},
                         wished, rates);
  plan = planner.plan(wanted);
  if (!limits.hold(plan)) throw MemoryError(refusal(planner, wanted, limits, given, rates));
  placed = wanted;
  step_options = wanted.step_options();
  rope = make_rope_table(model.config.rope, model.config.head_dim, step_options.longest);

  const Device device = options.device;
  arena = make_arena(device, [&](Arena& a) {
    stream = OwnedStream(a, options.deterministic ? StreamUse::kDeterministicOps : StreamUse::kOps);
    const StreamScope scope(stream.get());
    if (device.on_cuda()) twin.emplace(copy_model(model, a, wanted.weights));
    Model& computed = twin ? *twin : model;
    computed.parameters.lay_out(a, options.compute, true);
    place_rope_table(rope, a);
    optimizer.emplace(wanted.optimizer, computed.parameters, a);
    step.emplace(computed, step_options, rope, a);
  });
  if (twin) host_arena = model.parameters.lay_out(Device{}, Dtype::kF32, false);
}

void TrainingRun::State::upload() const {
  if (!twin) return model.parameters.refresh();
  const StreamScope scope(stream.get());
  upload_parameters(model.parameters, twin->parameters);
}

void TrainingRun::State::download() const {
  if (!twin) return;
  const StreamScope scope(stream.get());
  download_parameters(twin->parameters, model.parameters);
}

TrainingRun::TrainingRun(const TrainOptions& options) : state_(std::make_unique<State>(options)) {}
TrainingRun::~TrainingRun() = default;

const MemoryPlan& TrainingRun::plan() const {
  return state_->plan;
}
const TrainJob& TrainingRun::job() const {
  return state_->placed;
}
int64_t TrainingRun::trainable() const {
  return state_->model.parameters.trainable();
}
int64_t TrainingRun::parameters() const {
  return state_->model.parameter_count();
}
int64_t TrainingRun::total_steps() const {
  return state_->total_steps;
}
const ShardInfo& TrainingRun::data() const {
  return state_->train_shard.info();
}

uint64_t TrainingRun::device_peak() const {
  return state_->device_peak;
}

void TrainingRun::train(const TrainReport& report) {
  state_->start(report);
  state_->run(report);
  state_->finish(report);
}

}  // namespace nibble
