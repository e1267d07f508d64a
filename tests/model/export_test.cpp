// SPDX-License-Identifier: Apache-2.0
#include "model/export.h"

#include <gtest/gtest.h>

#include <cmath>

#include "model/adapter.h"
#include "model/gguf_config.h"
#include "model/gguf_names.h"
#include "model/gguf_vocab.h"
#include "model/import.h"
#include "model/pretokenizers.h"
#include "model/side_files.h"
#include "model/stored_weight.h"
#include "model/tokenizer_files.h"
#include "quant/quantize_folder.h"
#include "support/folder_test.h"
#include "support/gguf_builder.h"
#include "support/initial_model.h"
#include "text/tokenizer.h"

namespace nibble {
namespace {

using test::thrown;

class Export : public test::FolderTest {
 protected:
  // A model folder with a byte-level tokenizer.
  void make(const Json& config, Dtype dtype = Dtype::kF32) {
    config_ = parse_model_config(config, "test");
    weights_ = test::random_weights(config_, 11);
    fs::remove_all(path("m"));
    test::write_model_folder(path("m"), config, weights_, dtype);
    GgufMetadata meta;
    test::add_tiny_bpe(meta);
    GgufWriter(path("v.gguf"), meta, {}).commit();
    write_tokenizer_files(read_gguf_vocab(GgufFile(path("v.gguf")), config_.vocab_size), path("m"));
  }
  std::vector<float> decoded(const GgufFile& file, const std::string& name) const {
    const GgufTensor& t = *file.find_tensor(name);
    std::vector<float> out(static_cast<size_t>(t.elements()));
    decode_blocks(t.type, t.bytes.data(), out.data(), t.elements());
    return out;
  }

  ModelConfig config_;
  test::Weights weights_;
};

// What is exported and imported again is the same model.
TEST_F(Export, GgufAndBack) {
  for (const std::string family : {"llama", "mistral", "qwen2", "qwen3"}) {
    Json config = test::tiny_config(family);
    config.set("tie_word_embeddings", family == "qwen2");
    config.set("attention_bias", family == "llama");
    config.set("mlp_bias", family == "llama");
    if (family == "llama")
      config.set("rope_scaling", Json::object({{"rope_type", "llama3"},
                                               {"factor", 8.0},
                                               {"low_freq_factor", 1.0},
                                               {"high_freq_factor", 4.0},
                                               {"original_max_position_embeddings", 64}}));
    if (family == "qwen3")
      config.set("rope_scaling", Json::object({{"rope_type", "linear"}, {"factor", 2.0}}));
    make(config);
    const fs::path file = path(family + ".gguf");
    const ExportReport report = export_gguf(path("m"), file, {});
    EXPECT_EQ(report.notes.size(), family == "mistral" ? 1u : 0u);
    import_model(file, path(family), {});
    EXPECT_EQ(test::read_weights(path(family)), weights_) << family;
    const ModelConfig back = load_model_config(path(family));
    EXPECT_EQ(back.family, family);
    EXPECT_EQ(back.window, config_.window);
    EXPECT_EQ(back.tied_embeddings, config_.tied_embeddings);
    EXPECT_EQ(back.rope.scaling, config_.rope.scaling);
    EXPECT_EQ(back.rope.factor, config_.rope.factor);
    EXPECT_EQ(back.norm_eps, config_.norm_eps);
    EXPECT_EQ(back.max_position, config_.max_position);
    EXPECT_EQ(read_text_file(path(family) / "tokenizer.json"),
              read_text_file(path("m") / "tokenizer.json"));
    EXPECT_EQ(load_tokenizer(path(family))->chat_template, "{{ messages[0].content }}");
  }
}

TEST_F(Export, RowsOfQueriesAndKeysChangeOrder) {
  make(test::tiny_config("llama"));
  export_gguf(path("m"), path("x.gguf"), {});
  const GgufFile file(path("x.gguf"));
  for (const char* part : {"q", "k"})
    EXPECT_EQ(decoded(file, cat("blk.1.attn_", part, ".weight")),
              test::interleaved(weights_.at(cat("model.layers.1.self_attn.", part, "_proj.weight")),
                                8, 32));
  EXPECT_EQ(decoded(file, "blk.1.attn_v.weight"),
            weights_.at("model.layers.1.self_attn.v_proj.weight"));
}

TEST_F(Export, Types) {
  make(test::tiny_config("llama"));  // width 32 holds blocks, the MLP's 48 does not
  for (const GgmlType type : {GgmlType::kF32, GgmlType::kF16, GgmlType::kBf16, GgmlType::kQ8_0,
                              GgmlType::kQ4_0, GgmlType::kQ4_1}) {
    const std::string name(ggml_type_info(type).name);
    const ExportReport report = export_gguf(path("m"), path(name + ".gguf"), {.type = type});
    const GgufFile file(path(name + ".gguf"));
    const bool blocks = ggml_type_info(type).block > 1;
    const bool four = type == GgmlType::kQ4_0 || type == GgmlType::kQ4_1;
    EXPECT_EQ(file.find_tensor("blk.0.attn_v.weight")->type, type) << name;
    EXPECT_EQ(file.find_tensor("token_embd.weight")->type, four ? GgmlType::kQ8_0 : type) << name;
    EXPECT_EQ(file.find_tensor("output.weight")->type, four ? GgmlType::kQ8_0 : type) << name;
    EXPECT_EQ(file.find_tensor("blk.0.ffn_down.weight")->type, blocks ? GgmlType::kF16 : type);
    EXPECT_EQ(file.find_tensor("blk.0.attn_norm.weight")->type, GgmlType::kF32) << name;
    EXPECT_EQ(report.notes.size(), blocks ? 1u : 0u);
    // The blocks are what encoding the weights gives.
    const std::vector<float>& w = weights_.at("model.layers.0.self_attn.v_proj.weight");
    const GgufTensor& t = *file.find_tensor("blk.0.attn_v.weight");
    std::vector<std::byte> want(t.bytes.size());
    encode_blocks(type, w.data(), want.data(), static_cast<int64_t>(w.size()));
    EXPECT_TRUE(std::equal(want.begin(), want.end(), t.bytes.begin())) << name;
  }
  make(test::tiny_config("llama"), Dtype::kF16);
  Json config = test::tiny_config("llama");
  config.set("dtype", "float16");
  write_text_file(path("m") / "config.json", config.dump());
  export_gguf(path("m"), path("own.gguf"), {});
  EXPECT_EQ(GgufFile(path("own.gguf")).find_tensor("token_embd.weight")->type, GgmlType::kF16);
}

TEST_F(Export, QuantizedFoldersAreDequantized) {
  Json config = test::tiny_config("llama");
  config.set("dtype", "bfloat16");
  make(config, Dtype::kBf16);
  fs::create_directories(path("q"));
  quantize_folder({.source = path("m"),
                   .folder = path("q"),
                   .skip = {"lm_head"},
                   .selects = [](const std::string& name) {
                     return name.find("_proj.weight") != std::string::npos;
                   }});
  copy_side_files(path("m"), path("q"));
  ASSERT_TRUE(load_model_config(path("q")).quantization);
  export_folder(path("q"), path("dense"), {});
  const ModelConfig dense = load_model_config(path("dense"));
  EXPECT_FALSE(dense.quantization);
  const test::Weights out = test::read_weights(path("dense"));
  const TensorStore store(path("q"));
  QuantizedTables tables;
  size_t quantized = 0;
  for (const WeightSpec& spec : model_weights(config_)) {
    if (!is_quantized(store, spec.name)) {
      EXPECT_EQ(out.at(spec.name), weights_.at(spec.name)) << spec.name;
      continue;
    }
    ++quantized;
    const QuantizedMatrix m =
        load_quantized(store, spec.name, spec.shape[0], spec.shape[1], tables);
    std::vector<bf16> want(out.at(spec.name).size());
    dequantize({.out = view(want.data(), {spec.shape[0], spec.shape[1]}), .matrix = m});
    for (size_t i = 0; i < want.size(); ++i)
      ASSERT_EQ(out.at(spec.name)[i], to_float(want[i])) << spec.name << "[" << i << "]";
  }
  EXPECT_EQ(quantized, 21u);
  export_gguf(path("q"), path("q.gguf"), {.type = GgmlType::kF32});
  EXPECT_EQ(decoded(GgufFile(path("q.gguf")), "blk.2.ffn_up.weight"),
            out.at("model.layers.2.mlp.up_proj.weight"));
}

TEST_F(Export, Folders) {
  make(test::tiny_config("qwen2"));
  export_folder(path("m"), path("cut"), {.max_shard_bytes = 9000});
  EXPECT_GT(TensorStore(path("cut")).files().size(), 3u);
  EXPECT_EQ(test::read_weights(path("cut")), weights_);
  EXPECT_TRUE(fs::exists(path("cut") / "tokenizer.json"));
  export_folder(path("m"), path("half"), {.type = GgmlType::kBf16});
  EXPECT_EQ(load_model_config(path("half")).dtype, Dtype::kBf16);
  EXPECT_EQ(TensorStore(path("half")).at("model.norm.weight").info.dtype, Dtype::kBf16);
  EXPECT_EQ(thrown([&] { export_folder(path("m"), path("m"), {}); }).substr(0, 4), "73: ");
}

TEST_F(Export, RefusesWhatLlamaCppCannotRun) {
  Json config = test::tiny_config("qwen3");
  config.set("attention_bias", true);
  make(config);
  EXPECT_NE(thrown([&] { export_gguf(path("m"), path("x.gguf"), {}); }).find("69: "),
            std::string::npos);
  config = test::tiny_config("qwen2");
  config.set("use_sliding_window", true);
  config.set("sliding_window", 8);
  config.set("max_window_layers", 1);
  make(config);
  EXPECT_NE(thrown([&] { export_gguf(path("m"), path("x.gguf"), {}); }).find("sliding window"),
            std::string::npos);
  make(test::tiny_config("llama"));
  fs::remove(path("m") / "tokenizer.json");
  EXPECT_EQ(thrown([&] { export_gguf(path("m"), path("x.gguf"), {}); }).substr(0, 4), "66: ");
  make(test::tiny_config("llama"));
  Json tokenizer = read_json_file(path("m") / "tokenizer.json");
  tokenizer.find("pre_tokenizer")
      ->find("pretokenizers")
      ->as_array()[0]
      .find("pattern")
      ->set("Regex", "\\p{L}+");
  write_text_file(path("m") / "tokenizer.json", tokenizer.dump());
  const std::string text = thrown([&] { export_gguf(path("m"), path("x.gguf"), {}); });
  EXPECT_NE(text.find("69: "), std::string::npos) << text;
  EXPECT_NE(text.find("pre_tokenizer"), std::string::npos) << text;
  EXPECT_FALSE(fs::exists(path("x.gguf")));
}

TEST_F(Export, EveryPretokenizerHasItsNameBack) {
  for (const char* name :
       {"llama-bpe", "smaug-bpe", "qwen2", "smollm", "gpt-2", "tekken", "default"}) {
    const auto pre = find_pretokenizer(name);
    ASSERT_TRUE(pre) << name;
    const Json tokenizer =
        Json::object({{"pre_tokenizer", pre->pre_tokenizer},
                      {"model", Json::object({{"ignore_merges", pre->ignore_merges}})}});
    EXPECT_EQ(pretokenizer_name(tokenizer), name);
  }
  EXPECT_FALSE(pretokenizer_name(Json::object({{"model", Json::object()}})));
}

class ExportAdapter : public Export {
 protected:
  void train(const LoraConfig& config) {
    Model model = load_model(path("m"));
    attach_lora(model, config);
    const Arena arena = test::lay_out(model);
    float* values = model.parameters.values().as<float>();
    for (const Parameter& p : model.parameters.all())
      for (int64_t i = 0; i < p.count; ++i)
        values[p.begin + i] = static_cast<float>((p.begin + i) % 17 - 8) / 16.0f;
    fs::remove_all(path("a"));
    fs::create_directories(path("a"));
    save_adapter(path("a"), model, config);
  }
  test::Weights adapter() const {
    return test::read_weights(path("a") / "adapter_model.safetensors");
  }
};

TEST_F(ExportAdapter, TensorsScaleAndOrder) {
  make(test::tiny_config("llama"));
  train({.rank = 4, .alpha = 8.0, .targets = {"q_proj", "v_proj"}});
  export_adapter(path("m"), path("a"), path("a.gguf"), {});
  const GgufFile file(path("a.gguf"));
  EXPECT_EQ(file.text("general.type", ""), "adapter");
  EXPECT_EQ(file.text("general.architecture", ""), "llama");
  EXPECT_EQ(file.text("adapter.type", ""), "lora");
  EXPECT_EQ(file.number("adapter.lora.alpha", 0), 8.0);
  EXPECT_EQ(file.tensors().size(), 12u);
  const auto saved = adapter();
  const std::string stem = "base_model.model.model.layers.1.self_attn.";
  EXPECT_EQ(file.find_tensor("blk.1.attn_q.weight.lora_a")->shape, (std::vector<int64_t>{4, 32}));
  EXPECT_EQ(file.find_tensor("blk.1.attn_v.weight.lora_b")->shape, (std::vector<int64_t>{16, 4}));
  EXPECT_EQ(decoded(file, "blk.1.attn_q.weight.lora_a"), saved.at(stem + "q_proj.lora_A.weight"));
  EXPECT_EQ(decoded(file, "blk.1.attn_q.weight.lora_b"),
            test::interleaved(saved.at(stem + "q_proj.lora_B.weight"), 8, 4));
  EXPECT_EQ(decoded(file, "blk.1.attn_v.weight.lora_b"), saved.at(stem + "v_proj.lora_B.weight"));
}

// Whatever a layer's own scale is, alpha / rank times the stored lora_b gives it.
TEST_F(ExportAdapter, ScalesThatDifferGoIntoB) {
  make(test::tiny_config("qwen3"));
  train({.rank = 4,
         .alpha = 8.0,
         .use_rslora = true,
         .targets = {"q_proj", "v_proj"},
         .rank_pattern = {{"v_proj", 16}},
         .alpha_pattern = {{"v_proj", 3.0}}});
  export_adapter(path("m"), path("a"), path("a.gguf"), {});
  const GgufFile file(path("a.gguf"));
  const auto saved = adapter();
  const auto check = [&](const std::string& part, double alpha, double rank) {
    const auto b = decoded(file, cat("blk.0.attn_", part, ".weight.lora_b"));
    const auto& want =
        saved.at(cat("base_model.model.model.layers.0.self_attn.", part, "_proj.lora_B.weight"));
    const double scale = alpha / std::sqrt(rank);  // rank-stabilised
    for (size_t i = 0; i < b.size(); ++i)
      // Two roundings to float.
      EXPECT_NEAR(static_cast<double>(b[i]) * 8.0 / rank, static_cast<double>(want[i]) * scale,
                  std::abs(static_cast<double>(want[i]) * scale) * 0x1p-22)
          << part << "[" << i << "]";
  };
  check("q", 8.0, 4.0);
  check("v", 3.0, 16.0);
}

TEST_F(ExportAdapter, RefusesWhatIsTrainedBesides) {
  make(test::tiny_config("llama"));
  train({.rank = 4, .targets = {"q_proj"}, .modules_to_save = {"lm_head"}});
  const std::string text =
      thrown([&] { export_adapter(path("m"), path("a"), path("a.gguf"), {}); });
  EXPECT_NE(text.find("69: "), std::string::npos) << text;
  EXPECT_NE(text.find("merge with nibble-merge"), std::string::npos) << text;
  EXPECT_FALSE(fs::exists(path("a.gguf")));
}

}  // namespace
}  // namespace nibble
