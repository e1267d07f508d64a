// SPDX-License-Identifier: Apache-2.0
// Generation on the emulated CUDA half: the CPU's tokens, greedy and drawn, with CUDA graphs and
// without, while rows come and go; a step is one graph.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.h"
#include "emulate.h"
#include "infer/generator.h"
#include "model/device_model.h"
#include "support/folder_test.h"
#include "support/tiny_model.h"

namespace nibble {
namespace {

constexpr Device kCuda{.kind = DeviceKind::kCuda};

class DecodeOnCuda : public test::FolderTest {
 protected:
  void make(const std::string& family) {
    test::write_tiny_model(folder(), test::tiny_config(family), 5);
    host_ = load_model(folder());
  }

  std::vector<std::vector<int32_t>> complete(GeneratorOptions options, Device device) {
    options.device = device;
    std::vector<std::vector<int32_t>> prompts;
    Rng rng(17);
    for (const size_t length : {3u, 11u, 1u, 20u, 6u, 9u}) {
      prompts.emplace_back(length);
      for (int32_t& id : prompts.back()) id = static_cast<int32_t>(rng.below(96));
    }
    Generator generator(host_, options);
    std::vector<std::vector<int32_t>> out(prompts.size());
    generator.run(prompts, 0, {},
                  [&](size_t index, Completion c) { out.at(index) = std::move(c.tokens); });
    held_ = generator.graphs();
    return out;
  }

  Model host_;
  int64_t held_ = 0;
};

GeneratorOptions options_of(double temperature) {
  GeneratorOptions options = {
      .batch_size = 3, .context = 64, .max_tokens = 9, .compute = Dtype::kF32};
  // Some of 96 ids end a completion, so that rows are freed at different times.
  for (int32_t id = 0; id < 96; id += 9) options.stop_ids.push_back(id);
  options.sampling.temperature = temperature;
  if (temperature > 0)
    options.sampling = {.temperature = temperature,
                        .top_k = 30,
                        .top_p = 0.9,
                        .min_p = 0.01,
                        .repetition_penalty = 1.3,
                        .seed = 4};
  return options;
}

TEST_F(DecodeOnCuda, TakesTheTokensThatTheCpuTakes) {
  for (const auto& [family, temperature] :
       {std::pair{"llama", 0.0}, {"qwen3", 0.9}, {"mistral", 0.0}, {"mistral", 0.9}}) {
    make(family);
    SCOPED_TRACE(cat(family, " temperature ", temperature));
    GeneratorOptions options = options_of(temperature);
    const auto want = complete(options, Device{});
    EXPECT_EQ(held_, 0);
    EXPECT_TRUE(std::any_of(want.begin(), want.end(), [&](const auto& tokens) {
      return static_cast<int64_t>(tokens.size()) < options.max_tokens;
    }));
    EXPECT_EQ(complete(options, kCuda), want);
    // One, two or three rows, the last two as one graph of three or of two.
    EXPECT_GE(held_, 1);
    EXPECT_LE(held_, 3);
    options.graphs = false;
    EXPECT_EQ(complete(options, kCuda), want);
    EXPECT_EQ(held_, 0);
  }
}

TEST_F(DecodeOnCuda, StepsByOneGraph) {
  make("qwen3");
  for (const Dtype compute : {Dtype::kF32, Dtype::kBf16}) {
    GeneratorOptions options = {
        .batch_size = 1, .context = 64, .max_tokens = 20, .compute = compute, .device = kCuda};
    Generator generator(host_, options);
    const std::vector<int32_t> prompt(5, 3);
    const auto calls_of = [&](int64_t tokens) {
      emulate::take_submissions();
      size_t made = 0;
      generator.run(
          {&prompt, 1}, 0,
          [&](size_t, std::span<const int32_t> t) {
            return static_cast<int64_t>(t.size()) == tokens;
          },
          [&](size_t, const Completion& c) { made = c.tokens.size(); });
      EXPECT_EQ(static_cast<int64_t>(made), tokens);
      return emulate::take_submissions();
    };
    const emulate::Submissions prompt_alone = calls_of(1);
    calls_of(3);
    EXPECT_EQ(generator.graphs(), 1);
    const emulate::Submissions all = calls_of(20);
    EXPECT_EQ(all.graphs, 19);
    // The rows are told once, not for every token; else all that goes singly is the prompt's.
    for (const auto& [name, times] : all.single)
      EXPECT_LE(times, prompt_alone.single.at(name) + (name == "copy" ? 1 : 0)) << name;
  }
}

TEST_F(DecodeOnCuda, SaysThatLogitsAreNotFinite) {
  test::write_tiny_model(folder(), test::tiny_config("llama"), 5);
  host_ = load_model(folder());
  // All bits set are a NaN in every float type.
  std::vector<std::byte> nan(host_.norm.weight.bytes(), std::byte{0xff});
  host_.norm.weight.data = nan.data();
  EXPECT_EQ(test::thrown([&] { complete(options_of(0.0), kCuda); }).substr(0, 3), "65:");
}

}  // namespace
}  // namespace nibble
