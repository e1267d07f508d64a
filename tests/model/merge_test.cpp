// SPDX-License-Identifier: Apache-2.0
#include "model/merge.h"

#include <cmath>

#include "model/adapter.h"
#include "quant/quantize_folder.h"
#include "support/initial_model.h"
#include "support/model_folder.h"
#include "support/op_harness.h"

namespace nibble::test {
namespace {

class MergeTest : public FolderTest {
 protected:
  const Device device_ = test_device();
  const StreamScope host_{Stream{}};  // of all that is no merging

  // A base and an adapter with random values in everything that it trains.
  void make(const LoraConfig& config, const std::string& family = "llama", bool tied = false,
            Dtype dtype = Dtype::kF32) {
    fs::remove_all(path("base"));
    fs::remove_all(path("adapter"));
    fs::remove_all(path("merged"));
    make_model(path("base"), tiny_shape(family, tied), dtype);
    Model model = load_model(path("base"));
    attach_lora(model, config);
    const Arena arena = lay_out(model);
    float* values = model.parameters.values().as<float>();
    Rng rng(7);
    for (const Parameter& p : model.parameters.all())
      for (int64_t i = 0; i < p.count; ++i) values[p.begin + i] = static_cast<float>(rng.normal());
    fs::create_directories(path("adapter"));
    save_adapter(path("adapter"), model, config);
  }

  MergeReport merge(const std::string& type) {
    return merge_adapter(path("base"), path("adapter"), path("merged"),
                         {.type = type, .device = device_});
  }

  Weights base() const { return read_weights(path("base")); }
  Weights adapter() const { return read_weights(path("adapter") / "adapter_model.safetensors"); }
  Weights merged() const { return read_weights(path("merged")); }
};

// W + scale * B A in double, and the most that f32 sums of R products and one rounding to the
// type can be away from it.
struct Reference {
  double value, bound;
};
Reference element(const Weights& base, const Weights& adapter, const std::string& module,
                  size_t row, size_t column, size_t rank, size_t width, double scale, double step) {
  const auto& a = adapter.at(cat("base_model.model.", module, ".lora_A.weight"));
  const auto& b = adapter.at(cat("base_model.model.", module, ".lora_B.weight"));
  double sum = 0, size = 0;
  for (size_t k = 0; k < rank; ++k) {
    const double product = static_cast<double>(b[row * rank + k]) * a[k * width + column];
    sum += product;
    size += std::fabs(product);
  }
  const double w = base.at(module + ".weight")[row * width + column];
  const double value = w + scale * sum;
  const double f32 = 0x1p-24;
  return {value, static_cast<double>(rank + 3) * f32 * (std::fabs(scale) * size + std::fabs(w)) +
                     step * std::fabs(value)};
}

TEST_F(MergeTest, AddsTheProducts) {
  const struct {
    Dtype base;
    const char* type;
    Dtype out;
    double step;  // half a unit in the last place of the result, relative
  } cases[] = {
      {Dtype::kF32, "keep", Dtype::kF32, 0x1p-24}, {Dtype::kBf16, "keep", Dtype::kBf16, 0x1p-8},
      {Dtype::kF16, "keep", Dtype::kF16, 0x1p-11}, {Dtype::kBf16, "f32", Dtype::kF32, 0x1p-24},
      {Dtype::kF32, "bf16", Dtype::kBf16, 0x1p-8}, {Dtype::kF32, "f16", Dtype::kF16, 0x1p-11}};
  for (const auto& c : cases) {
    make({.rank = 4,
          .alpha = 6,
          .targets = {"q_proj", "up_proj"},
          .rank_pattern = {{"up_proj", 3}},
          .alpha_pattern = {{"1.mlp.up_proj", 1}}},
         "llama", false, c.base);
    const MergeReport report = merge(c.type);
    EXPECT_EQ(report.adapted, 6u);
    EXPECT_EQ(report.replaced, 0u);
    EXPECT_EQ(report.config.dtype, c.out);
    const Model loaded = load_model(path("merged"));
    EXPECT_EQ(loaded.config.dtype, c.out);
    EXPECT_EQ(loaded.embedding.weight.dtype, c.out);
    const Weights before = base(), trained = adapter(), after = merged();
    ASSERT_EQ(before.size(), after.size());
    for (const auto& [name, got] : after) {
      const std::string module = name.substr(0, name.size() - std::string(".weight").size());
      const bool query = module.ends_with("q_proj"), up = module.ends_with("up_proj");
      const double scale = query ? 6.0 / 4 : module.find(".1.") == std::string::npos ? 2 : 1.0 / 3;
      for (size_t i = 0; i < got.size(); ++i) {
        const Reference want =
            query || up
                ? element(before, trained, module, i / 16, i % 16, query ? 4 : 3, 16, scale, c.step)
                : Reference{before.at(name)[i], c.step * std::fabs(before.at(name)[i])};
        // Below its normal range f16 is spaced evenly.
        const double even = c.out == Dtype::kF16 ? 0x1p-25 : 0.0;
        ASSERT_NEAR(got[i], want.value, want.bound + even)
            << name << "[" << i << "] " << c.type << " from " << dtype_name(c.base);
      }
    }
  }
}

TEST_F(MergeTest, ReplacesWhatWasTrained) {
  make({.rank = 4,
        .targets = {"q_proj"},
        .modules_to_save = {"norm", "k_proj", "lm_head"},
        .bias = LoraBias::kAll},
       "qwen2");
  const MergeReport report = merge("keep");
  EXPECT_EQ(report.adapted, 3u);
  const Weights before = base(), trained = adapter(), after = merged();
  size_t replaced = 0;
  for (const auto& [name, got] : after) {
    if (name.ends_with("q_proj.weight")) continue;
    std::string key = "base_model.model." + name;
    if (name.ends_with("q_proj.bias")) key = key.substr(0, key.size() - 4) + "base_layer.bias";
    replaced += trained.contains(key);
    EXPECT_TRUE(got == (trained.contains(key) ? trained.at(key) : before.at(name))) << name;
  }
  EXPECT_EQ(replaced, report.replaced);
  EXPECT_EQ(replaced,
            3u * 3 + 3 * 2 + 1 + 3 + 1);  // biases, norms of blocks, final norm, k_proj, head
}

TEST_F(MergeTest, DenseTensorsBesideQuantisedOnesAreOfTheModelsType) {
  make({.rank = 4, .targets = {"q_proj"}, .modules_to_save = {"norm"}}, "llama");
  Json config = read_json_file(path("base/config.json"));
  config.set("dtype", "bfloat16");  // the weights are F32
  write_text_file(path("base/config.json"), config.dump());
  merge("nf4");
  const TensorStore store(path("merged"));
  for (const char* name : {"model.embed_tokens.weight", "model.norm.weight", "lm_head.weight",
                           "model.layers.1.input_layernorm.weight"})
    EXPECT_EQ(store.at(name).info.dtype, Dtype::kBf16) << name;
  fs::remove_all(path("merged"));
  merge("keep");
  EXPECT_EQ(TensorStore(path("merged")).at("model.norm.weight").info.dtype, Dtype::kF32);
}

TEST_F(MergeTest, TiesHoldWhereTheyCan) {
  const std::string head = "lm_head.weight", embedding = "model.embed_tokens.weight";
  make({.rank = 4, .targets = {"q_proj"}, .modules_to_save = {"norm"}}, "llama", true);
  EXPECT_TRUE(merge("keep").config.tied_embeddings);
  EXPECT_FALSE(merged().contains(head));

  make({.rank = 4,
        .targets = {"q_proj"},
        .modules_to_save = {"embed_tokens"},
        .ensure_weight_tying = true},
       "llama", true);
  EXPECT_TRUE(merge("keep").config.tied_embeddings);
  EXPECT_FALSE(merged().contains(head));
  EXPECT_TRUE(merged().at(embedding) == adapter().at("base_model.model." + embedding));

  // Trained apart: they are two from here on.
  make({.rank = 4, .targets = {"q_proj"}, .modules_to_save = {"embed_tokens"}}, "llama", true);
  EXPECT_FALSE(merge("keep").config.tied_embeddings);
  EXPECT_TRUE(merged().at(embedding) == adapter().at("base_model.model." + embedding));
  EXPECT_TRUE(merged().at(head) == base().at(embedding));
  EXPECT_NO_THROW(load_model(path("merged")));
}

// --type=nf4 of a dense base is --type=keep, quantised; and of a quantised base --type=keep is the
// same for what it dequantises to.
TEST_F(MergeTest, Quantised) {
  const struct {
    const char* type;
    QuantizeOptions options;
  } cases[] = {{"nf4", {.type = QuantType::kNf4}},
               {"fp4", {.type = QuantType::kFp4}},
               {"int8", {.type = QuantType::kInt8}},
               {"keep", {.type = QuantType::kNf4, .block = 32, .double_quant = false}}};
  const auto quantize_to = [&](const fs::path& from, const fs::path& to, const QuantizeOptions& o) {
    fs::create_directories(to);
    quantize_folder(
        {.source = from,
         .folder = to,
         .options = o,
         .skip = {"lm_head"},
         .selects = [](const std::string& name) { return name.ends_with("_proj.weight"); }});
  };
  for (const auto& c : cases)
    for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
      const std::string name = cat(c.type, "-", torch_name(dtype));
      make({.rank = 4, .targets = {"q_proj", "up_proj"}, .modules_to_save = {"norm"}}, "llama",
           false, dtype);
      if (std::string(c.type) == "keep") {
        quantize_to(path("base"), path("base-" + name), c.options);
        fs::remove_all(path("base"));
        fs::rename(path("base-" + name), path("base"));
      }
      merge(c.type);
      fs::rename(path("merged"), path(name));
      const MergeReport dense =
          merge_adapter(path("base"), path("adapter"), path("dense"),
                        {.type = dtype == Dtype::kF32 ? "f32" : "bf16", .device = device_});
      EXPECT_FALSE(dense.config.quantization);
      quantize_to(path("dense"), path("want"), c.options);
      const TensorStore got(path(name)), want(path("want"));
      ASSERT_EQ(got.tensors().size(), want.tensors().size());
      for (const auto& [tensor, t] : want.tensors()) {
        const StoredTensor& g = got.at(tensor);
        EXPECT_EQ(g.info.shape, t.info.shape) << tensor;
        EXPECT_TRUE(std::equal(t.bytes.begin(), t.bytes.end(), g.bytes.begin(), g.bytes.end()))
            << name << " " << tensor;
      }
      const Model loaded = load_model(path(name));
      EXPECT_EQ(loaded.blocks[0].qkv.parts[0].quantized->block,
                c.options.type == QuantType::kInt8 ? 64 : c.options.block);
      EXPECT_FALSE(loaded.head.quantized.has_value());
      fs::remove_all(path("dense"));
      fs::remove_all(path("want"));
    }
}

TEST_F(MergeTest, FilesComeAlong) {
  make({.rank = 4, .targets = {"q_proj"}});
  write_text_file(path("base") / "tokenizer.json", "{\"of\": \"base\"}");
  write_text_file(path("base") / "special_tokens_map.json", "{}");
  merge("keep");
  EXPECT_EQ(read_text_file(path("merged") / "tokenizer.json"), "{\"of\": \"base\"}");
  // The adapter's own tokenizer replaces all of the base's.
  fs::remove_all(path("merged"));
  write_text_file(path("adapter") / "tokenizer.model", "adapter");
  merge("keep");
  EXPECT_FALSE(fs::exists(path("merged") / "tokenizer.json"));
  EXPECT_FALSE(fs::exists(path("merged") / "special_tokens_map.json"));
  EXPECT_EQ(read_text_file(path("merged") / "tokenizer.model"), "adapter");
}

TEST_F(MergeTest, NothingIsLeftWhereItFails) {
  make({.rank = 4, .targets = {"q_proj"}});
  merge("keep");
  EXPECT_EQ(thrown_in(folder(), [&] { merge("keep"); }).substr(0, 12), "73: @/merged");
  fs::remove_all(path("merged"));
  make({.rank = 4, .targets = {"q_proj"}});
  {  // a weight that is no number
    Weights weights = base();
    weights["model.layers.1.mlp.up_proj.weight"][20] = NAN;
    write_model_folder(path("base"), read_json_file(path("base") / "config.json"), weights);
  }
  EXPECT_EQ(
      thrown_in(folder(), [&] { merge("keep"); }),
      "65: model.layers.1.mlp.up_proj.weight: row 1, column 4 is NaN; the weights are damaged");
  size_t left = 0;
  for (const auto& entry : fs::directory_iterator(folder()))
    left += entry.path().filename().string().starts_with("merged");
  EXPECT_EQ(left, 0u);
}

}  // namespace
}  // namespace nibble::test
