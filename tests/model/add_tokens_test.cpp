// SPDX-License-Identifier: Apache-2.0
#include "model/add_tokens.h"

#include <cmath>

#include "model/adapter.h"
#include "model/draw.h"
#include "support/initial_model.h"
#include "support/model_folder.h"

namespace nibble::test {
namespace {

using AddTokensTest = FolderTest;

class OfSize : public Tokenizer {
 public:
  explicit OfSize(int32_t size) : size_(size) {}
  TextPlace encode_at(TextPlace place, std::string_view, SpecialText,
                      std::vector<int32_t>&) const override {
    return place;
  }
  std::string decode(const int32_t*, size_t, bool) const override { return ""; }
  void append_token_bytes(int32_t, std::string&) const override {}
  int32_t vocab_size() const override { return size_; }
  std::string token_text(int32_t) const override { return ""; }
  std::optional<int32_t> token_id(std::string_view) const override { return {}; }
  bool is_special(int32_t) const override { return false; }

 private:
  int32_t size_;
};

// Saved as PEFT saves them, and read back into the base as it was.
TEST_F(AddTokensTest, GrowTrainAndReturn) {
  for (const bool tied : {false, true}) {
    const fs::path base = path(tied ? "tied" : "base"), out = path(tied ? "tied-out" : "out");
    make_model(base, tiny_shape("llama", tied));
    Model model = load_model(base);
    LoraConfig config{.rank = 4, .targets = {"q_proj"}};
    add_tokens(model, config, OfSize(43));
    EXPECT_EQ(config.modules_to_save, tied ? std::vector<std::string>{"embed_tokens"}
                                           : (std::vector<std::string>{"embed_tokens", "lm_head"}));
    EXPECT_EQ(config.ensure_weight_tying, tied);
    attach_lora(model, config);
    EXPECT_EQ(model.embedding.parameter == model.head.weight_parameter, tied);
    const Arena arena = lay_out(model);
    init_trained(model, config, 1);
    const Tensor table = model.parameters.value(model.embedding.parameter);
    ASSERT_EQ(table.dim(0), 43);
    const auto old = read_weights(base).at("model.embed_tokens.weight");
    EXPECT_TRUE(std::equal(old.begin(), old.end(), table.as<float>()));
    for (int64_t i = 0; i < 16; ++i) {
      double mean = 0;
      for (size_t row = 0; row < 40; ++row) mean += old[row * 16 + static_cast<size_t>(i)] / 40.0;
      // Deviation of the draw: sqrt(1e-9) times 0.02.
      for (int64_t row = 40; row < 43; ++row)
        EXPECT_NEAR(table.as<float>()[row * 16 + i], mean, 1e-5);
    }
    fs::create_directories(out);
    save_adapter(out, model, config);
    Weights saved = read_weights(out / "adapter_model.safetensors");
    EXPECT_EQ(saved["base_model.model.lm_head.weight"].size(), 43u * 16);
    EXPECT_EQ(saved["base_model.model.model.embed_tokens.weight"].size(), 43u * 16);

    Model again = load_model(base);
    attach_adapter(again, out);
    EXPECT_EQ(again.config.vocab_size, 43);
    const Arena other = lay_out(again);
    load_adapter_weights(out, again);
    EXPECT_EQ(again.embedding.parameter == again.head.weight_parameter, tied);
    const Tensor loaded = again.parameters.value(again.embedding.parameter);
    EXPECT_TRUE(
        std::equal(table.as<float>(), table.as<float>() + table.elements(), loaded.as<float>()));
  }
}

TEST_F(AddTokensTest, FullModelsGrowToo) {
  make_model(path("base"), tiny_shape());
  Model model = load_model(path("base"));
  LoraConfig config;
  add_tokens(model, config, OfSize(50));
  attach_full(model);
  const Arena arena = lay_out(model);
  init_trained(model, config, 1);
  fs::create_directories(path("out"));
  save_full_model(path("out"), model, path("base"), Dtype::kF32);
  const Model grown = load_model(path("out"));
  EXPECT_EQ(grown.config.vocab_size, 50);
  EXPECT_EQ(grown.head.weight.dim(0), 50);
}

TEST_F(AddTokensTest, RowsThatAreThereAreUsed) {
  make_model(path("base"), tiny_shape());
  Model model = load_model(path("base"));
  LoraConfig config{.modules_to_save = {"model.embed_tokens"}};
  add_tokens(model, config, OfSize(38));
  EXPECT_EQ(model.config.vocab_size, 40);
  EXPECT_EQ(config.modules_to_save, (std::vector<std::string>{"model.embed_tokens", "lm_head"}));
}

// The mean and, over many draws, the covariance: 1e-9 times that of the old rows.
TEST(DrawNewRows, MeanAndCovariance) {
  constexpr int64_t kRows = 7, kWidth = 3, kDraws = 40000;
  std::vector<float> old(kRows * kWidth), out(kDraws * kWidth);
  Rng rng(3);
  for (float& x : old) x = static_cast<float>(rng.normal());
  // Means far below the deviations, so that f32 holds the draws: 3e-5 of a deviation.
  for (int64_t c = 0; c < kWidth; ++c) {
    double mean = 0;
    for (int64_t r = 0; r < kRows; ++r) mean += old[static_cast<size_t>(r * kWidth + c)] / kRows;
    for (int64_t r = 0; r < kRows; ++r)
      old[static_cast<size_t>(r * kWidth + c)] -= static_cast<float>(mean);
  }
  draw_new_rows(view(out.data(), {kDraws, kWidth}), view(old.data(), {kRows, kWidth}), {5, "x"});
  for (int64_t a = 0; a < kWidth; ++a)
    for (int64_t b = 0; b < kWidth; ++b) {
      double want = 0, got = 0, spread_a = 0, spread_b = 0;
      for (int64_t r = 0; r < kRows; ++r) {
        const double x = old[static_cast<size_t>(r * kWidth + a)];
        const double y = old[static_cast<size_t>(r * kWidth + b)];
        want += 1e-9 * x * y / kRows;
        spread_a += 1e-9 * x * x / kRows;
        spread_b += 1e-9 * y * y / kRows;
      }
      for (int64_t d = 0; d < kDraws; ++d)
        got += static_cast<double>(out[static_cast<size_t>(d * kWidth + a)]) *
               out[static_cast<size_t>(d * kWidth + b)] / kDraws;
      // The sampling deviation of a product of normals, five of them.
      const double deviation = std::sqrt((spread_a * spread_b + want * want) / kDraws);
      EXPECT_NEAR(got, want, 5 * deviation) << a << "," << b;
    }
}

}  // namespace
}  // namespace nibble::test
