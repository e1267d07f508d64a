// SPDX-License-Identifier: Apache-2.0
// Predicted speed of generation: counts checked by hand, and that more work never takes less time.
#include "fit/infer_cost.h"

#include <gtest/gtest.h>

#include "fit/catalogue.h"
#include "fit/question.h"

namespace nibble {
namespace {

Model known(const char* name, const char* type) {
  Question q;
  q.training = false;
  for (const KnownModel& m : known_models())
    if (m.name == name) q.config = m.config;
  set_quantized(q.config, type);
  return prepare(q);
}

constexpr Rates kProcessor{.matmul_flops = 3e11,
                           .memory_bytes = 2e10,
                           .expanded_weights = 7e10,
                           .vector_flops = 1.5e11,
                           .matmul_share = 1.0,
                           .memory_share = 1.0};

// SmolLM2-135M's blocks and head.
constexpr double kLinear = 30.0 * (576 * 576 * 2 + 576 * 192 * 2 + 3 * 576 * 1536);
constexpr double kHead = 49152.0 * 576.0;

TEST(Decoding, ReadsWeightsAndCacheOnAGpu) {
  const Rates rates{
      .matmul_flops = 1e30, .memory_bytes = 1e12, .matmul_share = 1.0, .memory_share = 0.5};
  const GeneratorSizes sizes{.batch_size = 3, .context = 1000};
  const double weights = kLinear * (0.5 + 1.0 / 64) + 2.0 * kHead;
  const double cache = 3.0 * 1000 * 30 * 2 * 192 * 2;
  EXPECT_NEAR(decoding_seconds(known("SmolLM2-135M", "nf4"), sizes, DeviceKind::kCuda, rates),
              (weights + cache) / 0.5e12, 1e-6 * weights / 1e12);
}

TEST(Decoding, IssuesInstructionsOnAGpu) {
  const Rates rates{.matmul_flops = 1e30, .memory_bytes = 1e30, .instructions = 1e12};
  const auto seconds = [&](int64_t batch) {
    return decoding_seconds(known("SmolLM2-135M", "nf4"), {.batch_size = batch, .context = 1},
                            DeviceKind::kCuda, rates);
  };
  // One vector waits for shared memory, eight for instructions; more rows are a product's.
  EXPECT_NEAR(seconds(1), kLinear * 4.625 / 1e12, 1e-9);
  EXPECT_NEAR(seconds(8), kLinear * (989.0 / 64.0) / 1e12, 1e-9);
  EXPECT_LT(seconds(17), seconds(1));
}

TEST(Decoding, ComputesOnAProcessor) {
  const GeneratorSizes sizes{.batch_size = 8, .context = 1};
  // Eight products with a quantised number outweigh reading it; half of the reading hides.
  const double reading = kLinear * (0.5 + 1.0 / 64) / 2e10;
  const double computing = kLinear * (1.0 / 7e10 + 16.0 / 1.5e11);
  const double head_reading = 2.0 * kHead / 2e10, head_computing = kHead * 16.0 / 1.5e11;
  const double want = computing + reading / 2 + std::max(head_reading, head_computing) +
                      std::min(head_reading, head_computing) / 2;
  EXPECT_NEAR(
      decoding_seconds(known("SmolLM2-135M", "nf4"), sizes, DeviceKind::kCpu, kProcessor) / want,
      1.0, 0.01);
}

TEST(Prompts, AreProducts) {
  Rates rates = kProcessor;
  rates.memory_bytes = 1e30;
  const GeneratorSizes sizes{.batch_size = 1, .context = 512};
  const double flops = 2.0 * kLinear + 2.0 * 512 * 576 * 30;
  EXPECT_NEAR(prompt_token_seconds(known("SmolLM2-135M", "nf4"), sizes, DeviceKind::kCpu, rates) /
                  (flops / 3e11),
              1.0, 1e-6);
}

TEST(Generation, MoreNeverTakesLess) {
  const Rates gpu = find_gpu(gpu_catalogue(""), "l4").rates();
  for (const char* name : {"SmolLM2-135M", "Mistral-7B", "Qwen3-8B"})
    for (const char* type : {"nf4", "int8", "none"}) {
      const Model model = known(name, type);
      for (const auto& [device, rates] :
           {std::pair{DeviceKind::kCpu, kProcessor}, {DeviceKind::kCuda, gpu}}) {
        // In f32: 17 rows are multiplied in bf16 where the host can, and 16 are not.
        double before = 0.0;
        for (const int64_t batch : {1, 2, 8, 16, 17, 64, 256}) {
          const double step =
              decoding_seconds(model, {.batch_size = batch, .compute = Dtype::kF32}, device, rates);
          EXPECT_GE(step, before) << name << " " << type << " " << batch;
          before = step;
        }
        before = 0.0;
        for (const int64_t context : {16, 512, 2048, 32768}) {
          const double step = decoding_seconds(model, {.context = context}, device, rates);
          EXPECT_GE(step, before) << name << " " << type << " " << context;
          before = step;
        }
        EXPECT_LT(prompt_token_seconds(model, {.batch_size = 1}, device, rates),
                  decoding_seconds(model, {.batch_size = 1}, device, rates));
      }
    }
}

}  // namespace
}  // namespace nibble
