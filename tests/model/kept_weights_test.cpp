// SPDX-License-Identifier: Apache-2.0
// A step on the CPU through 4-bit weights that are kept expanded gives the bits of one that expands
// them in every pass, and takes what the plan says.
#include <gtest/gtest.h>

#include "base/rng.h"
#include "model/lora.h"
#include "model/step.h"
#include "quant/quantize_folder.h"
#include "support/scratch.h"
#include "support/tiny_model.h"

namespace nibble {
namespace {

struct Outcome {
  double loss = 0.0;
  std::vector<float> gradients;
  size_t bytes = 0;
  bool operator==(const Outcome& other) const {
    return loss == other.loss && gradients == other.gradients;
  }
};

Outcome run(const fs::path& folder, int64_t kept, size_t tokens) {
  Model model = load_model(folder);
  const LoraConfig lora = {.rank = 4, .alpha = 8.0};
  attach_lora(model, lora);
  const Arena parameters = model.parameters.lay_out(Device{}, Dtype::kBf16, true);
  init_trained(model, lora, 3);
  model.parameters.refresh();
  model.parameters.zero_gradients();
  const StepOptions options = {
      .tokens = 64, .longest = 64, .labelled = 64, .weights = {.kept_layers = kept}};
  const RopeTable rope = make_rope_table(model.config.rope, model.config.head_dim, 64);
  std::optional<Step> step;
  const Arena arena =
      make_arena(Device{}, [&](Arena& a) { step.emplace(model, options, rope, a); });
  Batch batch;
  Rng rng(5);
  std::vector<int32_t> ids(tokens);
  for (int32_t& id : ids) id = static_cast<int32_t>(rng.below(96));
  batch.append(ids, {});
  Outcome out{.bytes = arena.peak()};
  for (uint64_t i = 0; i < 2; ++i) out.loss += step->forward_backward(batch, 0.5f, {.seed = 9});
  out.loss += step->forward(batch);
  const float* g = model.parameters.gradients().as<float>();
  out.gradients.assign(g, g + model.parameters.extent());
  return out;
}

TEST(KeptWeights, GiveTheSameBits) {
  test::ScratchFolder folder;
  test::write_tiny_model(folder.path() / "dense", test::tiny_config("qwen3"), 7);
  fs::create_directories(folder.path() / "nf4");
  quantize_folder({.source = folder.path() / "dense",
                   .folder = folder.path() / "nf4",
                   .selects = [](const std::string& name) {
                     return name.find("_proj.weight") != std::string::npos;
                   }});
  // More rows than are read without a panel, and fewer.
  for (const size_t tokens : {40u, 8u}) {
    const Outcome want = run(folder.path() / "nf4", 0, tokens);
    size_t before = want.bytes;
    for (const int64_t kept : {1, 2, 3}) {
      const Outcome got = run(folder.path() / "nf4", kept, tokens);
      EXPECT_EQ(want, got) << kept << " layers, " << tokens << " tokens";
      EXPECT_GT(got.bytes, before) << kept;
      before = got.bytes;
    }
  }
}

}  // namespace
}  // namespace nibble
