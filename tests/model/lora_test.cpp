// SPDX-License-Identifier: Apache-2.0
#include "model/lora.h"

#include <cmath>
#include <cstring>

#include "base/threads.h"
#include "io/json.h"
#include "model/adapter.h"
#include "support/initial_model.h"

namespace nibble::test {
namespace {

using LoraTest = FolderTest;

const Projection& projection(const Model& model, const std::string& name) {
  for (const Projection* p : model.projections())
    if (p->name == name) return *p;
  throw BugError(name);
}

std::vector<float> values(const Model& model, int index) {
  const Tensor t = model.parameters.value(index);
  return {t.as<float>(), t.as<float>() + t.elements()};
}

// What golden/lora_targets.py got from PEFT: which tensors an adapter of that configuration has,
// which of them are trained, and the scale of every adapted layer.
TEST_F(LoraTest, SelectsAsPeft) {
  const Json golden = read_json_file(fs::path(NIBBLE_TEST_DATA) / "model/golden/lora_targets.json");
  int number = 0;
  for (const Json& c : golden.at("cases").as_array()) {
    SCOPED_TRACE(c.at("config").dump());
    const std::string family = c.at("family").as_string();
    const bool tied = c.at("tied").as_bool();
    const fs::path base = folder() / cat(family, tied ? "-tied" : "");
    const fs::path adapter = folder() / cat("adapter", number++);
    if (!fs::exists(base)) make_model(base, tiny_shape(family, tied));
    Model model = load_model(base);
    const int64_t rows = c.at("vocabulary").as_integer();
    fs::create_directories(adapter);
    write_text_file(adapter / "adapter_config.json", c.at("config").dump());
    std::vector<TensorInfo> infos;
    for (const auto& [name, shape] : c.at("tensors").as_object()) {
      std::vector<int64_t> dims;
      for (const Json& d : shape.as_array()) dims.push_back(d.as_integer());
      infos.push_back(tensor_info(name, Dtype::kF32, dims));
    }
    TensorWriter writer(adapter, infos, {}, SIZE_MAX, "adapter_model");
    for (const TensorInfo& info : infos)
      writer.write(std::vector<std::byte>(info.bytes).data(), info.bytes);
    writer.finish();

    attach_adapter(model,
                   adapter);  // throws where a tensor is missing, left over or of other shape
    EXPECT_EQ(model.config.vocab_size, rows);
    std::vector<std::string> trained, want;
    for (const Parameter& p : model.parameters.all()) trained.push_back(p.name);
    std::sort(trained.begin(), trained.end());
    for (const Json& name : c.at("trained").as_array()) want.push_back(name.as_string());
    std::sort(want.begin(), want.end());
    EXPECT_EQ(trained, want);
    for (const Projection* p : model.projections()) {
      const Json* scale = c.at("scales").find(p->name);
      ASSERT_EQ(p->lora_a >= 0, scale != nullptr) << p->name;
      if (scale) {
        EXPECT_EQ(p->lora_scale, static_cast<float>(scale->as_number())) << p->name;
      }
    }
  }
  EXPECT_EQ(number, 28);
}

TEST_F(LoraTest, GroupsLieTogether) {
  Model model = make_model(folder(), tiny_shape());
  attach_lora(model, {.rank = 16});
  for (const Block& b : model.blocks)
    for (const LinearGroup* g : {&b.qkv, &b.gate_up}) {
      int64_t end = -1;
      for (const Projection& p : g->parts) {
        const Parameter& a = model.parameters.all()[static_cast<size_t>(p.lora_a)];
        EXPECT_TRUE(end < 0 || a.begin == end) << p.name;
        end = a.begin + a.count;
      }
    }
}

TEST_F(LoraTest, DropoutStreamsDiffer) {
  Model model = make_model(folder(), tiny_shape());
  attach_lora(model, {.dropout = 0.1});
  std::vector<uint64_t> streams;
  for (const Projection* p : model.projections()) streams.push_back(p->dropout_stream);
  std::sort(streams.begin(), streams.end());
  EXPECT_EQ(std::adjacent_find(streams.begin(), streams.end()), streams.end());
}

TEST_F(LoraTest, DrawsDependOnSeedAndNameAlone) {
  const std::string name = "model.layers.1.mlp.down_proj";
  const auto draw = [&](std::vector<std::string> targets, uint64_t seed, int count) {
    set_threads(count);
    Model model = make_model(folder(), tiny_shape());
    const LoraConfig config{.rank = 8, .targets = std::move(targets)};
    attach_lora(model, config);
    const Arena arena = lay_out(model);
    init_trained(model, config, seed);
    set_threads(0);
    return values(model, projection(model, name).lora_a);
  };
  const auto alone = draw({"down_proj"}, 7, 1);
  EXPECT_EQ(alone, draw({"all-linear"}, 7, 2));
  EXPECT_NE(alone, draw({"down_proj"}, 8, 1));
}

// Mean and variance against their own sampling deviations, five of them.
TEST_F(LoraTest, Distributions) {
  ModelShape shape = tiny_shape();
  shape.hidden_size = 256;
  for (const LoraInit init : {LoraInit::kDefault, LoraInit::kGaussian}) {
    Model model = make_model(folder(), shape);
    const LoraConfig config{.rank = 32, .init = init};
    attach_lora(model, config);
    const Arena arena = lay_out(model);
    init_trained(model, config, 3);
    const Projection& p = projection(model, "model.layers.0.self_attn.q_proj");
    const auto a = values(model, p.lora_a);
    const double n = static_cast<double>(a.size());
    const double bound = 1.0 / 16.0;  // 1/sqrt(256)
    const bool uniform = init == LoraInit::kDefault;
    const double variance = uniform ? bound * bound / 3.0 : 1.0 / (32.0 * 32.0);
    const double fourth = uniform ? std::pow(bound, 4) / 5.0 : 3.0 * variance * variance;
    double sum = 0, squares = 0, largest = 0;
    for (const float x : a) {
      sum += x;
      squares += static_cast<double>(x) * x;
      largest = std::max(largest, std::fabs(static_cast<double>(x)));
    }
    EXPECT_LT(std::fabs(sum / n), 5 * std::sqrt(variance / n));
    EXPECT_LT(std::fabs(squares / n - variance), 5 * std::sqrt((fourth - variance * variance) / n));
    if (uniform) {
      EXPECT_LE(largest, bound);
      EXPECT_GT(largest, 0.99 * bound);
    }
    for (const float x : values(model, p.lora_b)) EXPECT_EQ(x, 0.0f);
  }
}

TEST_F(LoraTest, TrainedModulesStartAsTheModel) {
  Model model = make_model(folder(), tiny_shape("qwen2"), Dtype::kBf16);
  const LoraConfig config{.targets = {"o_proj"},
                          .modules_to_save = {"embed_tokens", "model.norm", "k_proj"},
                          .bias = LoraBias::kAll};
  attach_lora(model, config);
  const Arena arena = lay_out(model);
  std::fill_n(model.parameters.values().as<float>(), model.parameters.extent(), NAN);
  init_trained(model, config, 3);
  for (const Parameter& p : model.parameters.all()) {
    const std::string name = p.name.substr(std::string("base_model.model.").size());
    if (name.find("lora_") != std::string::npos) continue;
    const int index = static_cast<int>(&p - model.parameters.all().data());
    const auto* stored = reinterpret_cast<const bf16*>(model.store->at(name).bytes.data());
    const auto got = values(model, index);
    for (size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], to_float(stored[i])) << name;
    EXPECT_EQ(p.decays, p.shape.size() == 2) << name;
  }
}

TEST_F(LoraTest, FullTrainsEverything) {
  for (const char* family : {"llama", "qwen2", "qwen3"})
    for (const bool tied : {false, true}) {
      Model model = make_model(folder(), tiny_shape(family, tied));
      attach_full(model);
      EXPECT_EQ(model.parameters.trainable(), model.parameter_count());
      EXPECT_EQ(model.head.weight_parameter == model.embedding.parameter, tied);
      const Arena arena = lay_out(model);
      std::fill_n(model.parameters.values().as<float>(), model.parameters.extent(), NAN);
      init_trained(model, {}, 1);
      for (size_t i = 0; i < model.parameters.all().size(); ++i) {
        const auto got = values(model, static_cast<int>(i));
        const StoredTensor& stored = model.store->at(model.parameters.all()[i].name);
        EXPECT_EQ(std::memcmp(got.data(), stored.bytes.data(), stored.bytes.size()), 0);
      }
    }
}

TEST_F(LoraTest, RefusesByName) {
  make_model(folder(), tiny_shape());
  const auto fault = [&](const LoraConfig& config) {
    return thrown_in(folder(), [&] {
      Model model = load_model(folder());
      attach_lora(model, config);
    });
  };
  EXPECT_EQ(fault({.targets = {"query"}}),
            "64: the targets \"query\" name no linear layer of the model; name some, q_proj for "
            "instance");
  EXPECT_EQ(fault({.targets = {}}),
            "64: no targets are named; name linear layers, q_proj for instance");
  EXPECT_EQ(fault({.targets = {"q_proj", "lm_head"}}),
            "69: an adapter on the module \"lm_head\" is not supported; it can be trained in full "
            "(modules_to_save), or take it from the targets");
  EXPECT_EQ(fault({.targets_expression = ".*"}).substr(0, 30), "69: an adapter on the module \"");
  EXPECT_EQ(fault({.targets = {"q_proj"}, .modules_to_save = {"mlp"}}),
            "64: modules_to_save: \"mlp\" names no weight of the model; embed_tokens, lm_head, a "
            "norm or a linear layer can be trained in full");
  EXPECT_EQ(fault({.targets_expression = "(q_proj"}).substr(0, 40),
            "64: \"(q_proj\" is no regular expression: ");
  EXPECT_EQ(fault({.targets_expression = "((\\w|\\.)+)+[!-]"}).substr(0, 26),
            "64: the regular expression");
  EXPECT_EQ(fault({.rank = 0}), "64: a rank of 0; give 1 to 65536");
  EXPECT_EQ(fault({.alpha = NAN}), "64: alpha is not a finite number");
  EXPECT_EQ(fault({.dropout = 1.0}), "64: a dropout of 1; give 0 to below 1");
  EXPECT_EQ(fault({.rank_pattern = {{"q_proj", 0}}}), "64: a rank of 0; give 1 to 65536");
}

}  // namespace
}  // namespace nibble::test
