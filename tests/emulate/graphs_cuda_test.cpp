// SPDX-License-Identifier: Apache-2.0
// CUDA graphs of whole micro-batches and of other work: replayed over several batches they give the
// bits that the same work gives without them; one graph serves all batches of a shape; what may not
// be recorded is told in one line, and the stream is fit for use after it.
#include <gtest/gtest.h>

#include "base/rng.h"
#include "emulate.h"
#include "model/device_model.h"
#include "model/lora.h"
#include "model/step.h"
#include "quant/quantize_folder.h"
#include "support/device_copy.h"
#include "support/folder_test.h"
#include "support/tiny_model.h"

namespace nibble {
namespace {

using test::ScratchFolder;

constexpr int64_t kTokens = 64;
constexpr Device kCuda{.kind = DeviceKind::kCuda};

// A quantised model with an adapter on the device, and a step over it.
struct Rig {
  Rig(StepOptions options, const LoraConfig& lora, const char* family = "qwen3",
      StreamUse use = StreamUse::kOps)
      : stream(kCuda, use), scope(stream.get()) {
    Model host;
    Arena host_arena;
    {
      const StreamScope on_cpu{Stream{}};
      test::write_tiny_model(folder.path() / "dense", test::tiny_config(family), 7);
      fs::create_directories(folder.path() / "nf4");
      quantize_folder({.source = folder.path() / "dense",
                       .folder = folder.path() / "nf4",
                       .selects = [](const std::string& name) {
                         return name.find("_proj.weight") != std::string::npos;
                       }});
      host = load_model(folder.path() / "nf4");
      attach_lora(host, lora);
      host_arena = host.parameters.lay_out(Device{}, Dtype::kF32, false);
      init_trained(host, lora, 3);
      Rng rng(11);
      float* values = host.parameters.values().as<float>();
      for (int64_t i = 0; i < host.parameters.extent(); ++i)
        if (values[i] == 0.0f) values[i] = static_cast<float>(0.1 * rng.normal());
    }
    weights = test::copy_to(kCuda, load_model(folder.path() / "nf4"), model);
    attach_lora(model, lora);
    options.tokens = options.longest = options.labelled = kTokens;
    rope = make_rope_table(model.config.rope, model.config.head_dim, kTokens);
    arena = make_arena(kCuda, [&](Arena& a) {
      model.parameters.lay_out(a, options.compute, true);
      place_rope_table(rope, a);
      step.emplace(model, options, rope, a);
    });
    upload_parameters(host.parameters, model.parameters);
    synchronize();
  }

  std::vector<float> gradients() const {
    std::vector<float> v(static_cast<size_t>(model.parameters.extent()));
    copy(view(v.data(), {model.parameters.extent()}), model.parameters.gradients());
    synchronize();
    return v;
  }

  ScratchFolder folder;
  OwnedStream stream;
  StreamScope scope;
  Model model;
  RopeTable rope;
  Arena weights, arena;
  std::optional<Step> step;
};

// Different tokens, sequences and targets; of nearly as many tokens as there may be.
Batch make_batch(uint64_t seed, std::initializer_list<size_t> lengths) {
  Batch batch;
  Rng rng(seed);
  for (const size_t length : lengths) {
    std::vector<int32_t> ids(length);
    std::vector<uint8_t> trained(length);
    for (size_t i = 0; i < length; ++i) {
      ids[i] = static_cast<int32_t>(rng.below(96));
      trained[i] = i % 3 != 0;
    }
    batch.append(ids, trained);
  }
  return batch;
}

std::vector<Batch> full_batches() {
  return {make_batch(1, {64}), make_batch(2, {30, 31}), make_batch(3, {9, 1, 20, 33}),
          make_batch(4, {60}), make_batch(5, {5, 6, 7, 8, 9, 10, 11, 4, 1})};
}

// A stream for deterministic ops takes no algorithm that adds up parts of a sum; any other does
// where it may.
TEST(DeterministicOps, SplitNoSums) {
  for (const bool deterministic : {false, true}) {
    Rig rig({}, {.rank = 8}, "qwen3",
            deterministic ? StreamUse::kDeterministicOps : StreamUse::kOps);
    std::vector<std::vector<float>> gradients;
    emulate::take_split_products();
    for (int run = 0; run < 2; ++run) {
      rig.model.parameters.zero_gradients();
      rig.step->add_gradients(full_batches().front(), 0.125f, {.seed = 9, .micro_batch = 3});
      rig.step->take_loss();
      gradients.push_back(rig.gradients());
    }
    EXPECT_EQ(emulate::take_split_products() > 0, !deterministic);
    EXPECT_EQ(gradients[0], gradients[1]);
  }
}

struct Result {
  std::vector<double> losses;
  std::vector<std::vector<float>> gradients;
  int64_t graphs = 0;
  std::string refused;
  emulate::Submissions given;
};

Result run(StepOptions options, const LoraConfig& lora, const std::vector<Batch>& batches) {
  Rig rig(options, lora);
  Result out;
  emulate::take_submissions();
  uint64_t micro_batch = 0;
  for (const Batch& batch : batches) {
    rig.model.parameters.zero_gradients();
    rig.step->add_gradients(batch, 1.0f / static_cast<float>(batch.rows.size()),
                            {.seed = 9, .micro_batch = micro_batch++});
    out.losses.push_back(rig.step->take_loss());
    out.gradients.push_back(rig.gradients());
  }
  out.graphs = rig.step->graphs();
  out.refused = rig.step->graphs_refused();
  out.given = emulate::take_submissions();
  return out;
}

// Kernels and products that were given one by one.
int64_t computed(const emulate::Submissions& given) {
  int64_t count = 0;
  for (const auto& [name, times] : given.single)
    if (name != "copy" && name != "fill") count += times;
  return count;
}

void expect_same_bits(StepOptions options, const LoraConfig& lora = {.rank = 4, .alpha = 8.0}) {
  options.graphs = true;
  const Result with = run(options, lora, full_batches());
  options.graphs = false;
  const Result without = run(options, lora, full_batches());
  EXPECT_EQ(with.losses, without.losses);
  EXPECT_EQ(with.gradients, without.gradients);
  EXPECT_EQ(with.graphs, 1);
  // The first batch went by itself, the other four as the graph.
  EXPECT_EQ(with.given.graphs, 4);
  EXPECT_EQ(without.given.graphs, 0);
  EXPECT_GT(computed(with.given), 0);
  EXPECT_EQ(computed(with.given) * 5, computed(without.given));
}

TEST(StepGraphs, HaveTheBitsOfTheWorkWithoutThem) {
  expect_same_bits({.compute = Dtype::kBf16});
  expect_same_bits({.compute = Dtype::kF32});
}
TEST(StepGraphs, DrawAnewForEveryBatch) {
  const StepOptions options = {.compute = Dtype::kBf16, .dropout = 0.2f, .neftune_alpha = 5.0f};
  expect_same_bits(options);
  expect_same_bits(options, {.rank = 8, .alpha = 8.0});  // that the adapters' kernels take
}
TEST(StepGraphs, HoldRecomputation) {
  expect_same_bits({.recompute = Recompute::kNorm});
  expect_same_bits({.recompute = Recompute::kSqrt});
}
TEST(StepGraphs, HoldTrainedTablesAndNorms) {
  expect_same_bits({}, {.rank = 4, .modules_to_save = {"embed_tokens", "lm_head", "norm"}});
}

TEST(StepGraphs, AreOneForEachShape) {
  Rig rig({}, {.rank = 4});
  const auto step = [&](const Batch& batch) {
    rig.step->add_gradients(batch, 1.0f, {});
    return rig.step->take_loss();
  };
  const Batch little = make_batch(6, {9, 20}), full = make_batch(7, {40, 20});
  std::vector<double> losses;
  for (int i = 0; i < 3; ++i) losses.push_back(step(full));
  EXPECT_EQ(rig.step->graphs(), 1);
  Batch few = full;
  few.rows.resize(3);
  few.targets.resize(3);
  for (int i = 0; i < 3; ++i) step(few);
  EXPECT_EQ(rig.step->graphs(), 2);
  for (int i = 0; i < 3; ++i) rig.step->forward(little);
  EXPECT_EQ(rig.step->graphs(), 3);
  emulate::take_submissions();
  EXPECT_EQ(step(full), losses[0]);
  EXPECT_EQ(emulate::take_submissions().graphs, 1);
  EXPECT_EQ(losses[1], losses[0]);
  EXPECT_EQ(losses[2], losses[0]);
}

TEST(StepGraphs, LeaveValidationAsItIs) {
  Rig with({.graphs = true}, {.rank = 4}), without({.graphs = false}, {.rank = 4});
  for (const Batch& batch : full_batches())
    EXPECT_EQ(with.step->forward(batch), without.step->forward(batch));
}

TEST(Graphs, TellWhatMayNotBeRecordedInOneLine) {
  const OwnedStream stream(kCuda);
  const StreamScope scope(stream.get());
  const DeviceMemory memory(64, kCuda);
  const Tensor numbers = make_tensor(memory.data(), Dtype::kF32, {16}, kCuda);
  Graphs graphs(kCuda);
  const auto waits = [&] {
    zero(numbers);
    synchronize();
  };
  const auto allocates = [&] {
    zero(numbers);
    const DeviceMemory more(64, kCuda);
  };
  graphs.run({1}, waits);
  const std::string waited = test::thrown([&] { graphs.run({1}, waits); });
  EXPECT_EQ(waited.substr(0, 16), "70: synchronize:") << waited;
  EXPECT_EQ(waited.find("more than one line"), std::string::npos);
  graphs.run({2}, allocates);
  const std::string allocated = test::thrown([&] { graphs.run({2}, allocates); });
  EXPECT_EQ(allocated.substr(0, 18), "70: device memory:") << allocated;
  EXPECT_EQ(graphs.held(), 0);
  // The stream goes on as if nothing had been.
  std::vector<float> read(16, 1.0f);
  zero(numbers);
  copy(view(read.data(), {16}), numbers);
  synchronize();
  EXPECT_EQ(read, std::vector<float>(16, 0.0f));
}

TEST(StepGraphs, AreDoneWithoutWhereTheDriverRefuses) {
  const Result with = run({}, {.rank = 4}, full_batches());
  EXPECT_EQ(with.graphs, 1);
  EXPECT_EQ(with.refused, "");
  for (const char* fault : {"capture", "instantiate"}) {
    setenv("NIBBLE_EMULATE_FAULT", fault, 1);
    const Result without = run({}, {.rank = 4}, full_batches());
    unsetenv("NIBBLE_EMULATE_FAULT");
    EXPECT_EQ(without.losses, with.losses) << fault;
    EXPECT_EQ(without.gradients, with.gradients) << fault;
    EXPECT_EQ(without.graphs, 0) << fault;
    EXPECT_EQ(without.given.graphs, 0) << fault;
    EXPECT_EQ(without.refused.find("graph "), 0u) << fault << ": " << without.refused;
  }
}

TEST(Graphs, TakeOtherStreamsInByEvents) {
  const OwnedStream stream(kCuda), side(kCuda);
  const StreamScope scope(stream.get());
  const DeviceMemory memory(128, kCuda);
  const Tensor from = make_tensor(memory.data(), Dtype::kF32, {16}, kCuda);
  const Tensor to = make_tensor(memory.data() + 64, Dtype::kF32, {16}, kCuda);
  const cuda::Event fork = cuda::create_event(0), join = cuda::create_event(0);
  Graphs graphs(kCuda);
  std::vector<float> numbers(16), read(16);
  for (int turn = 1; turn <= 4; ++turn) {
    std::fill(numbers.begin(), numbers.end(), static_cast<float>(turn));
    copy(from, view(numbers.data(), {16}));
    graphs.run({1}, [&] {
      cuda::record(fork, stream.get());
      cuda::wait(side.get(), fork);
      copy(to, from, side.get());
      cuda::record(join, side.get());
      cuda::wait(stream.get(), join);
      zero(from);
    });
    copy(view(read.data(), {16}), to);
    synchronize();
    EXPECT_EQ(read, numbers);
  }
  EXPECT_EQ(graphs.held(), 1);
  cuda::destroy_event(fork);
  cuda::destroy_event(join);
}

TEST(Graphs, StayWhereMoreKeysComeThanMayBeHeld) {
  const OwnedStream stream(kCuda);
  const StreamScope scope(stream.get());
  const DeviceMemory memory(64, kCuda);
  const Tensor numbers = make_tensor(memory.data(), Dtype::kF32, {16}, kCuda);
  constexpr int64_t kHeld = 2;
  Graphs graphs(kCuda, true, kHeld);
  int bodies = 0;
  const auto run = [&](int64_t key) {
    graphs.run({key}, [&] {
      ++bodies;
      zero(numbers);
    });
  };
  const auto round = [&](int64_t keys) {
    bodies = 0;
    for (int64_t key = 0; key < keys; ++key) run(key);
    return bodies;
  };
  EXPECT_EQ(round(5), 5);
  EXPECT_EQ(round(5), 5);  // two of them recorded
  EXPECT_EQ(graphs.held(), kHeld);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(round(5), 5 - kHeld);
  // Keys that come no more give theirs up.
  for (int i = 0; i < 100; ++i) run(4);
  EXPECT_EQ(graphs.held(), kHeld);
  bodies = 0;
  run(4);
  EXPECT_EQ(bodies, 0);
  // And many keys that come once leave no trace.
  for (int64_t key = 10; key < 1000; ++key) run(key);
  EXPECT_LE(graphs.held(), kHeld);
}

TEST(Graphs, AreFewWhateverTheSizes) {
  for (int64_t size = 0; size < 5000; ++size) {
    const int64_t taken = graph_size(size, 16);
    ASSERT_GE(taken, size);
    ASSERT_EQ(taken % 16, 0);
    ASSERT_TRUE(taken - size < 16 || (taken - size) * 8 < taken) << size << " " << taken;
    ASSERT_EQ(graph_size(taken, 16), taken);
  }
}

}  // namespace
}  // namespace nibble
