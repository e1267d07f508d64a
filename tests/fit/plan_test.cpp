// SPDX-License-Identifier: Apache-2.0
// The plan of a training step and of generation: what it is made of, that it is the same with and
// without weights, that more of anything never needs less, and what is chosen by it.
#include <gtest/gtest.h>

#include "base/rng.h"
#include "fit/advice.h"
#include "fit/answer.h"
#include "fit/choose.h"
#include "fit/cuda_plan.h"
#include "fit/weight_bytes.h"
#include "support/scratch.h"
#include "support/tiny_model.h"

namespace nibble {
namespace {

Question tiny_question(const std::string& family) {
  Question q;
  q.name = family;
  q.config = parse_model_config(test::tiny_config(family), "config.json");
  q.lora.rank = 4;
  q.train.batch_size = 2;
  q.train.row_length = q.train.longest = 64;
  q.infer.batch_size = 2;
  q.infer.context = 64;
  return q;
}

Question random_question(Rng& rng) {
  const char* families[] = {"llama", "mistral", "qwen2", "qwen3"};
  Question q = tiny_question(families[rng.below(4)]);
  ModelConfig& c = q.config;
  const auto upto = [&](uint64_t n) { return static_cast<int64_t>(1 + rng.below(n)); };
  c.vocab_size = 64 * upto(800);
  c.head_dim = 8 * upto(16);
  c.kv_heads = upto(4);
  c.heads = c.kv_heads * upto(4);
  c.hidden_size = 16 * upto(60);
  c.intermediate_size = 16 * upto(120);
  c.layers = upto(12);
  c.layer_window.clear();
  c.max_position = 1 << 20;
  c.tied_embeddings = rng.below(2) == 0;
  if (rng.below(2) == 0) set_quantized(c, rng.below(2) == 0 ? "nf4" : "int8");
  q.method = !c.quantization && rng.below(3) == 0 ? "full" : "lora";
  q.lora.rank = upto(64);
  q.train.batch_size = upto(8);
  q.train.accumulate = upto(4);
  q.train.row_length = q.train.longest = upto(1000);
  q.train.recompute = kRecomputes[rng.below(4)];
  const char* optimizers[] = {"adamw", "adamw-8bit", "sgd"};
  q.train.optimizer.name = optimizers[rng.below(3)];
  q.train.compute = rng.below(2) == 0 ? Dtype::kBf16 : Dtype::kF32;
  q.train.dropout = rng.below(2) == 0 && q.method == "lora" ? 0.1f : 0.0f;
  q.train.device = rng.below(2) == 0 ? DeviceKind::kCpu : DeviceKind::kCuda;
  q.infer.batch_size = upto(16);
  q.infer.context = upto(3000);
  q.training = rng.below(4) != 0;
  return q;
}

TEST(MemoryPlan, NamesEveryBuffer) {
  Rng rng(1);
  for (int i = 0; i < 60; ++i) {
    const Question q = random_question(rng);
    const MemoryPlan p = plan(q);
    EXPECT_EQ(p.of("other buffers"), 0u) << i;
    uint64_t sum = 0;
    for (const auto& [name, bytes] : p.items) {
      EXPECT_GT(bytes, 0u) << name;
      sum += bytes;
    }
    EXPECT_EQ(p.total(), sum);
    EXPECT_GE(p.total(), q.training && q.method == "full" ? 0 : weight_bytes(q.config));
  }
}

TEST(MemoryPlan, NeedsNoWeights) {
  for (const char* family : {"llama", "mistral", "qwen2", "qwen3"}) {
    const test::ScratchFolder folder;
    test::write_tiny_model(folder.path(), test::tiny_config(family), 3);
    for (const char* method : {"lora", "full"})
      for (const Recompute policy : kRecomputes) {
        Question q = tiny_question(family);
        q.method = method;
        q.train.recompute = policy;
        const Model stored = prepare(q, load_model(folder.path()));
        EXPECT_EQ(plan(q, stored).items, plan(q).items) << family << " " << method;
      }
  }
}

TEST(MemoryPlan, IsWhatArenasTake) {
  const Question q = tiny_question("qwen3");
  Model model = prepare(q);
  Arena parameters, optimizer, step;
  model.parameters.lay_out(parameters, q.train.compute, true);
  take_optimizer_state(optimizer, q.train.optimizer, model.parameters);
  take_clip_factors(optimizer);
  take_step_buffers(step, model, q.train.step_options());
  const MemoryPlan p = plan(q);
  EXPECT_EQ(p.of("trained parameters") + p.of("gradients"), parameters.peak());
  EXPECT_EQ(p.of("optimizer state"), optimizer.peak());
  uint64_t others = p.of("weights (mapped)") + p.of("rotary table") +
                    p.of("program and libraries") + p.of("data (shard mapped, batches)");
  EXPECT_EQ(p.total() - others, parameters.peak() + optimizer.peak() + step.peak());
}

// Sizes of a model are doubled: the panels and the loss chunk that they are worked on in are whole
// rows of a bounded size, so that one more column may make these a few rows smaller.
TEST(MemoryPlan, MoreOfAnythingNeverNeedsLess) {
  Rng rng(2);
  using Change = void (*)(Question&);
  const std::pair<const char*, Change> changes[] = {
      {"batch-size", [](Question& q) { ++(q.training ? q.train.batch_size : q.infer.batch_size); }},
      {"length",
       [](Question& q) {
         q.train.longest = ++q.train.row_length;
         ++q.infer.context;
       }},
      {"length doubled",
       [](Question& q) {
         q.train.longest = q.train.row_length *= 2;
         q.infer.context *= 2;
       }},
      {"accumulate", [](Question& q) { ++q.train.accumulate; }},
      {"rank", [](Question& q) { ++q.lora.rank; }},
      {"layers", [](Question& q) { ++q.config.layers; }},
      {"vocabulary", [](Question& q) { q.config.vocab_size *= 2; }},
      {"hidden size", [](Question& q) { q.config.hidden_size *= 2; }},
      {"MLP", [](Question& q) { q.config.intermediate_size *= 2; }},
      {"heads", [](Question& q) { q.config.heads *= 2; }},
      {"modules to save", [](Question& q) { q.lora.modules_to_save = {"embed_tokens"}; }},
      // On a GPU the adapters then need no room in the rows of what is kept.
      {"dropout",
       [](Question& q) {
         if (q.train.device == DeviceKind::kCpu) q.train.dropout = 0.5f;
       }},
      {"noise", [](Question& q) { q.train.neftune_alpha = 5.0f; }},
      {"momentum", [](Question& q) { q.train.optimizer.momentum = 0.9; }},
  };
  for (int i = 0; i < 120; ++i) {
    const Question less = random_question(rng);
    const uint64_t before = plan(less).total();
    for (const auto& [name, change] : changes) {
      Question more = less;
      change(more);
      // Of a larger vocabulary the head does fewer rows at once, whose products may need less room.
      const uint64_t slack = std::string_view(name) == "vocabulary" ? before / 100 : 0;
      EXPECT_GE(plan(more).total() + slack, before)
          << name << ", question " << i << (less.training ? ", train" : ", infer");
    }
  }
}

TEST(MemoryPlan, RecomputeAndEightBitsSave) {
  Question q = tiny_question("llama");
  q.config.layers = 16;
  q.train.batch_size = 16;
  uint64_t before = UINT64_MAX;
  for (const Recompute policy : kRecomputes) {
    q.train.recompute = policy;
    const uint64_t bytes = plan(q).total();
    EXPECT_LT(bytes, before) << recompute_name(policy);
    before = bytes;
  }
  // Small tensors keep their state in 32 bits.
  q.config.hidden_size = q.config.intermediate_size = 256;
  q.method = "full";
  const uint64_t adam = plan(q).of("optimizer state");
  q.train.optimizer.name = "adamw-8bit";
  EXPECT_LT(3 * plan(q).of("optimizer state"), adam);
}

TEST(MemoryPlan, KeepsGraphsOnADevice) {
  Question q = tiny_question("llama");  // 3 layers
  const char* const item = "CUDA graphs (assumed)";
  EXPECT_EQ(plan(q).of(item), 0u);
  q.train.device = DeviceKind::kCuda;
  // Forward, backward and one chunk of the loss.
  const double kernels = 3 * (kForwardLaunches + kBackwardLaunches) + kLossChunkLaunches;
  EXPECT_EQ(plan(q).of(item), static_cast<uint64_t>(kStepGraphs * kernels) * kGraphNodeBytes);
  q.train.graphs = false;
  EXPECT_EQ(plan(q).of(item), 0u);
  // Of one or two sequences, and caches of up to 256, 512 and 600 positions.
  q.training = false;
  q.config.max_position = q.infer.context = 600;
  const double decoding = 3 * kDecodeLaunches + kChoiceLaunches;
  EXPECT_EQ(plan(q).of(item), static_cast<uint64_t>(2 * 3 * decoding) * kGraphNodeBytes);
  q.infer.graphs = false;
  EXPECT_EQ(plan(q).of(item), 0u);
}

TEST(MemoryPlan, NamesWhatTheHostHolds) {
  Question q = tiny_question("llama");
  EXPECT_TRUE(plan(q).host.empty());
  q.train.device = DeviceKind::kCuda;
  const Model model = prepare(q);
  const auto trained = static_cast<uint64_t>(model.parameters.extent());
  EXPECT_EQ(plan(q, model).host_total(), 4 * trained);
  q.train.offload = q.train.optimizer.paged = q.train.weights.host_embedding = true;
  q.train.weights.streamed_layers = 3;
  const MemoryPlan p = plan(q, model);
  EXPECT_EQ(p.of_host("weights, pinned"), weight_bytes_of(model, q.train.weights).host);
  EXPECT_EQ(p.of_host("optimizer state, pinned"), 8 * trained);
  EXPECT_GT(p.of_host("activations, pinned"), 0u);
  uint64_t sum = 0;
  for (const auto& [name, bytes] : p.host) sum += bytes;
  EXPECT_EQ(p.host_total(), sum);
  EXPECT_TRUE((MemoryLimits{p.total(), sum}.hold(p)));
  EXPECT_FALSE((MemoryLimits{p.total() - 1, sum}.hold(p)));
  EXPECT_FALSE((MemoryLimits{p.total(), sum - 1}.hold(p)));
}

TEST(ChooseMemory, IsTheFastestThatFits) {
  Rng rng(8);
  for (int i = 0; i < 30; ++i) {
    Question q = random_question(rng);
    q.training = true;
    const Model model = prepare(q);
    const TrainingPlanner planner(model);
    const Rates& rates = rates_or_typical({}, q.train.device);
    const auto all = memory_settings(planner, q.train, {}, {0});
    uint64_t least = UINT64_MAX, most = 0, pinned = 0;
    for (const TrainJob& job : all) {
      const MemoryPlan p = planner.plan(job);
      least = std::min(least, p.total());
      most = std::max(most, p.total());
      pinned = std::max(pinned, p.host_total());
    }
    for (const uint64_t limit : {least, (least + most) / 2, most, UINT64_MAX})
      for (const uint64_t host : {UINT64_MAX, pinned, pinned / 2, pinned / 10}) {
        const MemoryLimits limits{limit, host};
        const TrainJob chosen = choose_memory(planner, q.train, {}, limits, rates);
        const double seconds = training_cost(model, chosen).seconds(rates, 1);
        const bool fits = limits.hold(planner.plan(chosen));
        if (host >= pinned) {
          EXPECT_TRUE(fits);
        }
        for (const TrainJob& job : all)
          if (limits.hold(planner.plan(job))) {
            EXPECT_TRUE(fits) << memory_options(job);
            EXPECT_GE(training_cost(model, job).seconds(rates, 1), seconds) << memory_options(job);
          }
      }
    const TrainJob none = choose_memory(planner, q.train, {}, {least - 1}, rates);
    EXPECT_EQ(planner.plan(none).total(), least);
    const TrainJob free = choose_memory(planner, q.train, {}, {UINT64_MAX}, rates);
    EXPECT_TRUE(free.recompute == Recompute::kNone && !free.offload && !free.optimizer.paged);
    EXPECT_TRUE(free.weights.streamed_layers == 0 && !free.weights.host_embedding);
    // Where the host has nothing to spare, nothing leaves the device.
    const uint64_t spare = planner.plan(free).host_total();
    const TrainJob alone = choose_memory(planner, q.train, {}, {least - 1, spare}, rates);
    EXPECT_LE(planner.plan(alone).host_total(), spare);
    EXPECT_TRUE(!alone.offload && !alone.optimizer.paged && alone.weights.streamed_layers == 0);
    // What is given stays.
    q.train.recompute = Recompute::kSqrt;
    const TrainJob given = choose_memory(planner, q.train, {.recompute = false}, {least}, rates);
    EXPECT_EQ(given.recompute, Recompute::kSqrt);
  }
}

TEST(ChooseMemory, OfAQuestionTakesNothingOverFromAnotherModel) {
  Question q = tiny_question("llama");
  q.train.device = DeviceKind::kCuda;
  q.train.weights = {.streamed_layers = 3, .host_embedding = true};
  q.train.offload = q.train.optimizer.paged = true;
  choose_memory(q, prepare(q), {UINT64_MAX}, {});
  EXPECT_EQ(q.train.weights.streamed_layers, 0);
  EXPECT_FALSE(q.train.offload || q.train.optimizer.paged || q.train.weights.host_embedding);
  q.train.offload = true;
  q.open.offload = false;  // so it is asked
  choose_memory(q, prepare(q), {UINT64_MAX}, {});
  EXPECT_TRUE(q.train.offload);
}

TEST(Remedies, FitAndAreTheSameUpdates) {
  constexpr uint64_t kNoEnd = UINT64_MAX;
  Rng rng(4);
  for (int i = 0; i < 20; ++i) {
    Question q = random_question(rng);
    q.training = true;
    q.train.recompute = Recompute::kNone;
    const Model model = prepare(q);
    const TrainingPlanner planner(model);
    const uint64_t least = least_bytes(planner, q.train, kNoEnd);
    const uint64_t limit = (plan(q, model).total() + 2 * least) / 3;
    for (const uint64_t host : {kNoEnd, plan(q, model).host_total()}) {
      const MemoryLimits limits{limit, host};
      double before = -1.0;
      uint64_t bytes = UINT64_MAX;
      for (const Remedy& r : remedies(planner, q.train, limits, kTypicalRates)) {
        const MemoryPlan p = planner.plan(r.job);
        EXPECT_TRUE(limits.hold(p));
        EXPECT_EQ(p.total(), r.bytes);
        EXPECT_EQ(r.job.batch_size * r.job.accumulate, q.train.batch_size * q.train.accumulate);
        EXPECT_GE(r.slower, before - 0.05);  // an option less is worth 0.01 of time
        EXPECT_LT(r.bytes, bytes);
        before = r.slower;
        bytes = r.bytes;
      }
      if (host == kNoEnd) {
        EXPECT_NE(bytes, UINT64_MAX) << "nothing found, question " << i;
      }
    }
    EXPECT_TRUE(remedies(planner, q.train, {least - 1}, kTypicalRates).empty());
  }
}

TEST(Refusal, SaysWhoseMemoryIsShort) {
  Question q = tiny_question("llama");
  q.train.device = DeviceKind::kCuda;
  q.train.offload = true;
  const Model model = prepare(q);
  const MemoryPlan p = plan(q, model);
  const auto said = [&](const MemoryLimits& limits, LimitsGiven given) {
    return refusal(model, q.train, limits, given, kTypicalGpuRates);
  };
  EXPECT_TRUE(said({p.total() - 1}, {}).find(" MiB, this machine has ") != std::string::npos);
  EXPECT_TRUE(said({1}, {.device = true}).find("--memory-limit allows 0 MiB") != std::string::npos);
  EXPECT_TRUE(said({p.total(), 1}, {}).find(" of the host's memory, which has 0 MiB") !=
              std::string::npos);
  EXPECT_TRUE(said({p.total(), 1}, {.host = true}).find("--host-memory allows 0 MiB") !=
              std::string::npos);
}

TEST(FindLargest, IsTheLastThatFits) {
  Rng rng(5);
  for (int i = 0; i < 10; ++i) {
    Question q = random_question(rng);
    q.config.max_position = 5000;
    const MemoryLimits limits{2 * plan(q).total(), 8 * plan(q).total()};
    for (const Find what : {Find::kBatch, Find::kSequence, Find::kRank}) {
      const int64_t n = find_largest(q, what, limits, {}).value;
      const auto fits = [&](int64_t value) {
        Question other = q;
        if (what == Find::kRank) other.lora.rank = value;
        if (what == Find::kBatch) other.train.batch_size = other.infer.batch_size = value;
        if (what == Find::kSequence)
          other.train.row_length = other.train.longest = other.infer.context = value;
        const Model model = prepare(other);
        if (other.training) choose_memory(other, model, limits, {});
        return limits.hold(plan(other, model));
      };
      ASSERT_GE(n, 1);
      EXPECT_TRUE(fits(n));
      const int64_t most = what == Find::kBatch ? 65536 : what == Find::kRank ? 8192 : 5000;
      EXPECT_LE(n, most);
      if (n < most) {
        EXPECT_FALSE(fits(n + 1));
      }
      EXPECT_EQ(find_largest(q, what, {1}, {}).value, 0);
    }
  }
}

TEST(PlanGeneration, CacheIsKeysAndValues) {
  Question q = tiny_question("llama");  // 3 layers, 2 key/value heads of 8, bf16
  q.training = false;
  EXPECT_EQ(cache_bytes(q.config, {.batch_size = 2, .context = 64}), 3u * 2 * (2 * 64 * 2 * 8 * 2));
  EXPECT_EQ(plan(q).of("key/value cache"), 3u * 2 * (2 * 64 * 2 * 8 * 2));
}

TEST(CheckCountable, RefusesWhatNobodyHas) {
  Json config = test::tiny_config("llama");
  config.set("hidden_size", 1 << 22);
  config.set("intermediate_size", 1 << 24);
  config.set("num_hidden_layers", 4096);
  try {
    check_countable(parse_model_config(config, "config.json"), "config.json");
    FAIL();
  } catch (const DataError& e) {
    EXPECT_TRUE(std::string(e.what()).starts_with("config.json: 8.6e+17 parameters")) << e.what();
  }
}

}  // namespace
}  // namespace nibble
