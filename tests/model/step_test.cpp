// SPDX-License-Identifier: Apache-2.0
// One micro-batch through small models of every family: gradients against differences of the loss,
// packing against separate sequences, accumulation against one batch, and every memory option
// against the plain run.
#include "model/step.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/rng.h"
#include "model/lora.h"
#include "support/bf16_dots.h"
#include "support/scratch.h"
#include "support/tiny_model.h"

namespace nibble {
namespace {

using test::ScratchFolder;
using test::tiny_config;
using test::write_tiny_model;

constexpr int64_t kTokens = 64;

struct Rig {
  explicit Rig(const Json& config, const LoraConfig& lora, StepOptions options = {}) {
    write_tiny_model(folder.path(), config, 7);
    model = load_model(folder.path());
    attach_lora(model, lora);
    parameter_arena = model.parameters.lay_out(Device{}, options.compute, true);
    init_trained(model, lora, 3);
    // B starts at zero, where A has no gradient: move off it.
    Rng rng(11);
    float* values = model.parameters.values().as<float>();
    for (int64_t i = 0; i < model.parameters.extent(); ++i)
      if (values[i] == 0.0f) values[i] = static_cast<float>(0.1 * rng.normal());
    model.parameters.refresh();
    options.tokens = options.labelled = options.longest = kTokens;
    rope = make_rope_table(model.config.rope, model.config.head_dim, kTokens);
    step_arena = make_arena({}, [&](Arena& a) { step.emplace(model, options, rope, a); });
  }

  std::vector<float> gradients() const {
    const float* g = model.parameters.gradients().as<float>();
    return {g, g + model.parameters.extent()};
  }

  ScratchFolder folder;
  Model model;
  RopeTable rope;
  Arena parameter_arena, step_arena;
  std::optional<Step> step;
};

LoraConfig small_lora() {
  return {.rank = 4, .alpha = 8.0, .modules_to_save = {}};
}

// Three sequences of 9, 1 and 20 tokens, some trained.
Batch make_batch() {
  Batch batch;
  Rng rng(5);
  for (const size_t length : {9u, 1u, 20u}) {
    std::vector<int32_t> ids(length);
    std::vector<uint8_t> trained(length);
    for (size_t i = 0; i < length; ++i) {
      ids[i] = static_cast<int32_t>(rng.below(96));
      trained[i] = rng.below(3) != 0;
    }
    batch.append(ids, trained);
  }
  return batch;
}

class StepFamilies : public testing::TestWithParam<std::string> {};

TEST_P(StepFamilies, GradientsAreTheSlopeOfTheLoss) {
  const std::string family = GetParam();
  Rig rig(tiny_config(family), small_lora(), {.compute = Dtype::kF32});
  const Batch batch = make_batch();
  const ParameterSet& parameters = rig.model.parameters;
  parameters.zero_gradients();
  rig.step->forward_backward(batch, 1.0f, {});
  const std::vector<float> gradient = rig.gradients();
  float* values = parameters.values().as<float>();
  Rng rng(17);
  for (const Parameter& p : parameters.all()) {
    // The slope along a random direction of this tensor, by a five-point difference.
    std::vector<float> direction(static_cast<size_t>(p.count)),
        before(values + p.begin, values + p.begin + p.count);
    double norm = 0.0, slope = 0.0, size = 0.0;
    for (float& d : direction) {
      d = static_cast<float>(rng.normal());
      norm += d * d;
    }
    for (size_t i = 0; i < direction.size(); ++i) {
      direction[i] /= static_cast<float>(std::sqrt(norm));
      const double g = gradient[static_cast<size_t>(p.begin) + i];
      slope += g * direction[i];
      size += g * g;
    }
    const double h = 0.02;
    const auto loss_at = [&](double t) {
      for (size_t i = 0; i < direction.size(); ++i)
        values[p.begin + static_cast<int64_t>(i)] =
            before[i] + static_cast<float>(t) * direction[i];
      return rig.step->forward(batch);
    };
    const double difference =
        (8.0 * (loss_at(h) - loss_at(-h)) - (loss_at(2 * h) - loss_at(-2 * h))) / (12.0 * h);
    loss_at(0.0);
    // The sum of about 20 losses near 6 in fp32 carries some 1e-5 of rounding into each difference.
    EXPECT_NEAR(slope, difference, 2e-3 + 2e-3 * std::sqrt(size)) << family << " " << p.name;
  }
}

TEST_P(StepFamilies, EveryRecomputePolicyGivesTheSameBits) {
  // The MLP for all tokens at once, and in parts.
  for (const auto& [compute, mlp_rows] : {std::pair{Dtype::kF32, kMlpRows},
                                          {Dtype::kBf16, kMlpRows},
                                          {Dtype::kF32, int64_t{20}},
                                          {Dtype::kBf16, int64_t{8}}}) {
    std::vector<float> plain;
    double plain_loss = 0.0;
    for (const Recompute policy :
         {Recompute::kNone, Recompute::kNorm, Recompute::kLayer, Recompute::kSqrt}) {
      Rig rig(tiny_config(GetParam()), small_lora(),
              {.compute = compute,
               .recompute = policy,
               .dropout = 0.25f,
               .neftune_alpha = 5.0f,
               .mlp_rows = mlp_rows});
      rig.model.parameters.zero_gradients();
      const double loss =
          rig.step->forward_backward(make_batch(), 0.5f, {.seed = 9, .micro_batch = 4});
      if (plain.empty()) {
        plain = rig.gradients();
        plain_loss = loss;
        continue;
      }
      const std::vector<float> other = rig.gradients();
      EXPECT_EQ(loss, plain_loss) << static_cast<int>(policy);
      EXPECT_EQ(0, std::memcmp(plain.data(), other.data(), plain.size() * sizeof(float)))
          << "policy " << static_cast<int>(policy) << " " << dtype_name(compute);
    }
  }
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0.0;
  for (size_t i = 0; i < a.size(); ++i) sum += std::pow(double{a[i]} - double{b[i]}, 2);
  return std::sqrt(sum);
}

/// A step in bf16 rounds a dozen tensors a layer to it; attention's weights and slopes are two
/// more, averaged over keys. So its gradients are not half as far again from those of f32.
TEST_P(StepFamilies, AttentionOfBf16ProductsAddsLittleError) {
  if (!(hwy::SupportedTargets() & HWY_AVX3)) GTEST_SKIP() << "without AVX-512";
  const auto gradients = [&](Dtype compute, Bf16Dot dot) {
    const ForcedBf16Dot forced(dot);
    Rig rig(tiny_config(GetParam()), small_lora(), {.compute = compute});
    rig.model.parameters.zero_gradients();
    rig.step->forward_backward(make_batch(), 0.5f, {});
    return rig.gradients();
  };
  const std::vector<float> exact = gradients(Dtype::kF32, Bf16Dot::kNone);
  const std::vector<float> widened = gradients(Dtype::kBf16, Bf16Dot::kNone);
  const std::vector<float> emulated = gradients(Dtype::kBf16, Bf16Dot::kEmulated);
  EXPECT_GT(distance(emulated, widened), 0.0);
  EXPECT_LE(distance(emulated, exact), 1.5 * distance(widened, exact));
  if (executes_bf16_dot()) {
    EXPECT_EQ(distance(gradients(Dtype::kBf16, Bf16Dot::kNative), emulated), 0.0);
  }
}

TEST_P(StepFamilies, PartsOfTheMlpAddUp) {
  std::vector<float> whole;
  for (const int64_t mlp_rows : {kMlpRows, int64_t{20}, int64_t{4}}) {
    Rig rig(tiny_config(GetParam()), small_lora(),
            {.compute = Dtype::kF32, .dropout = 0.25f, .mlp_rows = mlp_rows});
    rig.model.parameters.zero_gradients();
    rig.step->forward_backward(make_batch(), 0.5f, {.seed = 9, .micro_batch = 4});
    const std::vector<float> gradients = rig.gradients();
    if (whole.empty()) whole = gradients;
    double most = 0.0;
    for (const float g : whole) most = std::max(most, static_cast<double>(std::abs(g)));
    for (size_t i = 0; i < whole.size(); ++i)
      ASSERT_NEAR(whole[i], gradients[i], 2e-5 * most) << mlp_rows << " at a time, " << i;
  }
}

TEST_P(StepFamilies, PackedSequencesNeverSeeEachOther) {
  Rig rig(tiny_config(GetParam()), small_lora(), {.compute = Dtype::kF32});
  const Batch batch = make_batch();
  const double together = rig.step->forward(batch);
  double apart = 0.0;
  for (int64_t s = 0; s < batch.sequences(); ++s) {
    const auto begin = static_cast<size_t>(batch.starts[static_cast<size_t>(s)]);
    const auto end = static_cast<size_t>(batch.starts[static_cast<size_t>(s) + 1]);
    std::vector<uint8_t> trained(end - begin, 0);
    for (const int32_t row : batch.rows)
      if (static_cast<size_t>(row) >= begin && static_cast<size_t>(row) + 1 < end)
        trained[static_cast<size_t>(row) + 1 - begin] = 1;
    Batch one;
    one.append(std::span(batch.ids).subspan(begin, end - begin), trained);
    if (!one.rows.empty()) apart += rig.step->forward(one);
  }
  EXPECT_NEAR(together, apart, 1e-4 * std::abs(apart));
}

TEST_P(StepFamilies, AccumulationEqualsOneBatch) {
  Rig rig(tiny_config(GetParam()), small_lora(), {.compute = Dtype::kF32});
  Batch first, second, both;
  Rng rng(23);
  for (int i = 0; i < 6; ++i) {
    std::vector<int32_t> ids(5 + rng.below(5));
    for (int32_t& id : ids) id = static_cast<int32_t>(rng.below(96));
    (i < 3 ? first : second).append(ids, {});
    both.append(ids, {});
  }
  const float scale = 1.0f / static_cast<float>(both.rows.size());
  rig.model.parameters.zero_gradients();
  rig.step->forward_backward(both, scale, {});
  const std::vector<float> whole = rig.gradients();
  rig.model.parameters.zero_gradients();
  rig.step->forward_backward(first, scale, {});
  rig.step->forward_backward(second, scale, {});
  const std::vector<float> parts = rig.gradients();
  double most = 0.0;
  for (const float g : whole) most = std::max(most, static_cast<double>(std::abs(g)));
  for (size_t i = 0; i < whole.size(); ++i) ASSERT_NEAR(whole[i], parts[i], 2e-5 * most) << i;
}

INSTANTIATE_TEST_SUITE_P(Families, StepFamilies,
                         testing::Values("llama", "mistral", "qwen2", "qwen3"),
                         [](const auto& family) { return family.param; });

}  // namespace
}  // namespace nibble
