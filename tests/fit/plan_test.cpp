// SPDX-License-Identifier: Apache-2.0
// The plan of a training step and of generation: what it is made of, that it is the same with and
// without weights, that more of anything never needs less, and what is chosen by it.
#include <gtest/gtest.h>

#include "base/rng.h"
#include "fit/advice.h"
#include "fit/answer.h"
#include "fit/choose.h"
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
      {"dropout", [](Question& q) { q.train.dropout = 0.5f; }},
      {"noise", [](Question& q) { q.train.neftune_alpha = 5.0f; }},
      {"momentum", [](Question& q) { q.train.optimizer.momentum = 0.9; }},
  };
  for (int i = 0; i < 120; ++i) {
    const Question less = random_question(rng);
    const uint64_t before = plan(less).total();
    for (const auto& [name, change] : changes) {
      Question more = less;
      change(more);
      EXPECT_GE(plan(more).total(), before)
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

TEST(ChooseMemory, IsTheFastestThatFits) {
  Rng rng(8);
  for (int i = 0; i < 30; ++i) {
    Question q = random_question(rng);
    q.training = true;
    const Model model = prepare(q);
    const Rates& rates = rates_or_typical({}, q.train.device);
    const auto all = memory_settings(model, q.train, {}, 0);
    uint64_t least = UINT64_MAX, most = 0;
    for (const TrainJob& job : all) {
      least = std::min(least, plan_training(model, job).total());
      most = std::max(most, plan_training(model, job).total());
    }
    for (const uint64_t limit : {least, (least + most) / 2, most, UINT64_MAX}) {
      const TrainJob chosen = choose_memory(model, q.train, {}, limit, rates);
      const double seconds = training_cost(model, chosen).seconds(rates, 1);
      EXPECT_LE(plan_training(model, chosen).total(), limit);
      for (const TrainJob& job : all)
        if (plan_training(model, job).total() <= limit) {
          EXPECT_GE(training_cost(model, job).seconds(rates, 1), seconds) << memory_options(job);
        }
    }
    const TrainJob none = choose_memory(model, q.train, {}, least - 1, rates);
    EXPECT_EQ(plan_training(model, none).total(), least);
    const TrainJob free = choose_memory(model, q.train, {}, UINT64_MAX, rates);
    EXPECT_TRUE(free.recompute == Recompute::kNone && !free.offload && !free.optimizer.paged);
    EXPECT_TRUE(free.weights.streamed_layers == 0 && !free.weights.host_embedding);
    // What is given stays.
    q.train.recompute = Recompute::kSqrt;
    const TrainJob given = choose_memory(model, q.train, {.recompute = false}, least, rates);
    EXPECT_EQ(given.recompute, Recompute::kSqrt);
  }
}

TEST(Remedies, FitAndAreTheSameUpdates) {
  Rng rng(4);
  for (int i = 0; i < 20; ++i) {
    Question q = random_question(rng);
    q.training = true;
    q.train.recompute = Recompute::kNone;
    const Model model = prepare(q);
    const uint64_t limit = (plan(q, model).total() + 2 * least_bytes(model, q.train)) / 3;
    double before = -1.0;
    uint64_t bytes = UINT64_MAX;
    for (const Remedy& r : remedies(model, q.train, limit, kTypicalRates)) {
      EXPECT_LE(r.bytes, limit);
      EXPECT_EQ(plan_training(model, r.job).total(), r.bytes);
      EXPECT_EQ(r.job.batch_size * r.job.accumulate, q.train.batch_size * q.train.accumulate);
      EXPECT_GE(r.slower, before - 0.05);  // an option less is worth 0.01 of time
      EXPECT_LT(r.bytes, bytes);
      before = r.slower;
      bytes = r.bytes;
    }
    EXPECT_NE(bytes, UINT64_MAX) << "nothing found, question " << i;
    EXPECT_TRUE(remedies(model, q.train, least_bytes(model, q.train) - 1, kTypicalRates).empty());
  }
}

TEST(FindLargest, IsTheLastThatFits) {
  Rng rng(5);
  for (int i = 0; i < 10; ++i) {
    Question q = random_question(rng);
    q.config.max_position = 5000;
    const uint64_t limit = 2 * plan(q).total();
    for (const Find what : {Find::kBatch, Find::kSequence, Find::kRank}) {
      const int64_t n = find_largest(q, what, limit);
      const auto at = [&](int64_t value) {
        Question other = q;
        if (what == Find::kRank) other.lora.rank = value;
        if (what == Find::kBatch) other.train.batch_size = other.infer.batch_size = value;
        if (what == Find::kSequence)
          other.train.row_length = other.train.longest = other.infer.context = value;
        return plan(other).total();
      };
      ASSERT_GE(n, 1);
      EXPECT_LE(at(n), limit);
      const int64_t most = what == Find::kBatch ? 65536 : what == Find::kRank ? 8192 : 5000;
      EXPECT_LE(n, most);
      if (n < most) {
        EXPECT_GT(at(n + 1), limit);
      }
      EXPECT_EQ(find_largest(q, what, 1), 0);
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
