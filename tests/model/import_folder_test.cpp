// SPDX-License-Identifier: Apache-2.0
// Import of Hugging Face folders.
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "model/import.h"
#include "support/folder_test.h"
#include "support/model_folder.h"

namespace nibble {
namespace {

using test::thrown;

class ImportFolder : public test::FolderTest {
 protected:
  void SetUp() override {
    FolderTest::SetUp();
    config_ = test::tiny_config("llama");
    weights_ = test::random_weights(parse_model_config(config_, "test"), 1);
  }
  std::string fault(const ImportOptions& options = {}) const {
    const std::string text = thrown([&] { import_model(path("in"), path("out"), options); });
    // Whatever went wrong, nothing is left.
    EXPECT_FALSE(fs::exists(path("out"))) << text;
    for (const auto& entry : fs::directory_iterator(folder()))
      EXPECT_EQ(entry.path().filename(), "in") << text;
    return text;
  }
  void write() const { test::write_model_folder(path("in"), config_, weights_); }

  Json config_;
  test::Weights weights_;
};

TEST_F(ImportFolder, KeepsEveryFamilyAndType) {
  const struct {
    const char* family;
    bool tied;
    Dtype dtype;
  } cases[] = {{"llama", true, Dtype::kF32},
               {"mistral", false, Dtype::kF16},
               {"qwen2", false, Dtype::kBf16},
               {"qwen3", true, Dtype::kBf16}};
  for (const auto& c : cases) {
    const fs::path in = path(cat("in-", c.family)), out = path(cat("out-", c.family));
    Json config = test::tiny_config(c.family);
    config.set("tie_word_embeddings", c.tied);
    config.set("dtype", torch_name(c.dtype));
    const auto weights = test::random_weights(parse_model_config(config, "test"), 7);
    test::write_model_folder(in, config, weights, c.dtype);
    const ImportReport report = import_model(in, out, {});
    EXPECT_EQ(report.tensors, weights.size());
    EXPECT_EQ(report.config.family, c.family);
    EXPECT_EQ(test::read_weights(out), weights) << c.family;
    EXPECT_EQ(TensorStore(out).tensors().begin()->second.info.dtype, c.dtype);
    EXPECT_EQ(read_json_file(out / "config.json"), config);
  }
}

TEST_F(ImportFolder, ReadsAndWritesShards) {
  test::write_model_folder(path("in"), config_, weights_, Dtype::kF32, 5000);
  ASSERT_TRUE(fs::exists(path("in") / "model.safetensors.index.json"));
  import_model(path("in"), path("whole"), {});
  EXPECT_TRUE(fs::exists(path("whole") / "model.safetensors"));
  EXPECT_EQ(test::read_weights(path("whole")), weights_);
  import_model(path("whole"), path("cut"), {.max_shard_bytes = 3000});
  const auto files = TensorStore(path("cut")).files();
  EXPECT_GT(files.size(), 5u);
  size_t largest = 0;
  for (const auto& [name, w] : weights_) largest = std::max(largest, w.size() * sizeof(float));
  for (const fs::path& file : files)
    EXPECT_LT(fs::file_size(file), std::max<size_t>(largest, 3000) + 4096);
  EXPECT_EQ(test::read_weights(path("cut")), weights_);
}

TEST_F(ImportFolder, ConvertsTypes) {
  weights_["model.norm.weight"][3] = 1.0f + 0x1p-9f;  // between two bf16 values, a tie
  write();
  import_model(path("in"), path("out"), {.dtype = Dtype::kBf16});
  const auto out = test::read_weights(path("out"));
  EXPECT_EQ(out.at("model.norm.weight")[3], 1.0f);
  EXPECT_EQ(out.at("lm_head.weight"), weights_.at("lm_head.weight"));
  EXPECT_EQ(load_model_config(path("out")).dtype, Dtype::kBf16);
  // The spelling of config.json is kept, transformers 5's and 4's.
  EXPECT_EQ(read_json_file(path("out") / "config.json").at("dtype").as_string(), "bfloat16");
  config_.erase("dtype");
  config_.set("torch_dtype", "float32");
  write();
  import_model(path("in"), path("out4"), {.dtype = Dtype::kF16});
  const Json written = read_json_file(path("out4") / "config.json");
  EXPECT_EQ(written.at("torch_dtype").as_string(), "float16");
  EXPECT_EQ(written.find("dtype"), nullptr);
}

TEST_F(ImportFolder, BringsTheSideFiles) {
  write();
  for (const char* name : {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja",
                           "generation_config.json", "LICENSE"})
    write_text_file(path("in") / name, cat("{\"x\": \"", name, "\"}"));
  write_text_file(path("in") / "optimizer.pt", "no part of the model");
  import_model(path("in"), path("out"), {});
  for (const char* name : {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja",
                           "generation_config.json", "LICENSE"})
    EXPECT_EQ(read_text_file(path("out") / name), cat("{\"x\": \"", name, "\"}"));
  EXPECT_FALSE(fs::exists(path("out") / "optimizer.pt"));
}

TEST_F(ImportFolder, LeavesOutWhatTransformersIgnores) {
  config_.set("tie_word_embeddings", true);
  weights_["model.layers.0.self_attn.rotary_emb.inv_freq"] = {1.0f, 0.1f};
  write();
  import_model(path("in"), path("out"), {});
  const auto out = test::read_weights(path("out"));
  EXPECT_EQ(out.size(), weights_.size() - 2);
  EXPECT_FALSE(out.contains("lm_head.weight"));
}

TEST_F(ImportFolder, RefusesDamagedWeights) {
  weights_["model.layers.1.mlp.up_proj.weight"][2 * 32 + 5] = NAN;
  write();
  EXPECT_EQ(fault(), cat("65: ", path("in").string(),
                         "/model.safetensors: tensor \"model.layers.1.mlp.up_proj.weight\": row 2, "
                         "column 5 is NaN; the weights are damaged"));
  weights_["model.layers.1.mlp.up_proj.weight"][2 * 32 + 5] = -INFINITY;
  write();
  EXPECT_NE(fault().find("row 2, column 5 is infinite"), std::string::npos);
  weights_["model.layers.1.mlp.up_proj.weight"][2 * 32 + 5] = 65520.0f;
  write();
  EXPECT_NE(fault({.dtype = Dtype::kF16}).find("65520, more than F16 holds"), std::string::npos);
  EXPECT_NO_THROW(import_model(path("in"), path("out"), {.dtype = Dtype::kBf16}));
}

TEST_F(ImportFolder, RefusesIncompleteAndForeignFolders) {
  write();
  auto less = weights_;
  less.erase("model.layers.1.self_attn.k_proj.weight");
  test::write_model_folder(path("in"), config_, less);
  EXPECT_NE(fault().find("65: "), std::string::npos);
  EXPECT_NE(fault().find("no tensor \"model.layers.1.self_attn.k_proj.weight\""),
            std::string::npos);

  auto more = weights_;
  more["model.layers.0.self_attn.sinks"] = {1.0f};
  test::write_model_folder(path("in"), config_, more);
  EXPECT_NE(fault().find("69: "), std::string::npos);
  EXPECT_NE(fault().find("\"model.layers.0.self_attn.sinks\" has no place"), std::string::npos);

  write();
  config_.set("intermediate_size", 47);
  write_text_file(path("in") / "config.json", config_.dump());
  EXPECT_NE(fault().find("gate_proj.weight\" is 48 x 32, not 47 x 32"), std::string::npos);
  config_.set("model_type", "gpt_neox");
  write_text_file(path("in") / "config.json", config_.dump());
  EXPECT_NE(fault().find("69: "), std::string::npos);
  EXPECT_NE(fault().find("\"gpt_neox\" is not supported"), std::string::npos);
  fs::remove(path("in") / "config.json");
  EXPECT_NE(fault().find("66: "), std::string::npos);
}

TEST_F(ImportFolder, NamesOtherWaysOfStoringWeights) {
  write();
  fs::remove(path("in") / "model.safetensors");
  EXPECT_NE(fault().find("66: "), std::string::npos);
  write_text_file(path("in") / "pytorch_model.bin", "a pickle");
  EXPECT_NE(fault().find("pytorch_model.bin: not supported; fetch"), std::string::npos);
}

TEST_F(ImportFolder, RefusesMissingSourcesAndExistingTargets) {
  EXPECT_EQ(thrown([&] { import_model(path("none"), path("out"), {}); }).substr(0, 4), "66: ");
  write();
  fs::create_directories(path("full"));
  write_text_file(path("full") / "precious", "kept");
  EXPECT_EQ(thrown([&] { import_model(path("in"), path("full"), {}); }).substr(0, 4), "73: ");
  EXPECT_EQ(thrown([&] { import_model(path("in"), path("in"), {}); }).substr(0, 4), "73: ");
  EXPECT_EQ(read_text_file(path("full") / "precious"), "kept");
}

}  // namespace
}  // namespace nibble
