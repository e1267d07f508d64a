// SPDX-License-Identifier: Apache-2.0
#include "model/adapter.h"

#include <cmath>
#include <cstring>

#include "support/initial_model.h"
#include "support/model_folder.h"

namespace nibble::test {
namespace {

const std::string kLayer = "base_model.model.model.layers.0.";

// A tiny model, and an adapter for it with values of its own.
class AdapterTest : public FolderTest {
 protected:
  void make(const LoraConfig& config, const std::string& family = "llama", bool tied = false) {
    make_model(path("base"), tiny_shape(family, tied));
    Model model = load_model(path("base"));
    attach_lora(model, config);
    const Arena arena = lay_out(model);
    init_trained(model, config, 1);
    float* values = model.parameters.values().as<float>();
    for (const Parameter& p : model.parameters.all())
      for (int64_t i = 0; i < p.count; ++i)
        values[p.begin + i] += static_cast<float>((p.begin + i) % 17 - 8) / 16.0f;
    fs::create_directories(path("adapter"));
    save_adapter(path("adapter"), model, config);
  }

  // The adapter's tensors, changed by `edit` and written again.
  template <class Edit>
  void rewrite(const Edit& edit) {
    struct Tensors {
      std::map<std::string, TensorInfo> infos;
      Weights values;
    } t;
    {
      const TensorStore store(path("adapter"), "adapter_model");
      for (const auto& [name, stored] : store.tensors()) {
        t.infos[name] = stored.info;
        auto& v = t.values[name];
        v.resize(stored.bytes.size() / sizeof(float));
        std::memcpy(v.data(), stored.bytes.data(), stored.bytes.size());
      }
    }
    edit(t.infos, t.values);
    std::vector<TensorInfo> infos;
    for (const auto& [name, info] : t.infos)
      infos.push_back(tensor_info(name, info.dtype, info.shape));
    TensorWriter writer(path("adapter"), infos, {}, SIZE_MAX, "adapter_model");
    for (const TensorInfo& info : infos) {
      std::vector<float> v = t.values[info.name];
      v.resize(info.bytes / dtype_bytes(info.dtype));
      const auto put = [&](const auto& typed) { writer.write(typed.data(), info.bytes); };
      if (info.dtype == Dtype::kBf16)
        put(rounded<bf16>(v));
      else if (info.dtype == Dtype::kF16)
        put(rounded<f16>(v));
      else if (info.dtype == Dtype::kF32)
        put(v);
      else
        put(std::vector<int64_t>(v.size()));
    }
    writer.finish();
  }

  template <class Edit>
  void rewrite_config(const Edit& edit) {
    Json config = read_json_file(path("adapter") / "adapter_config.json");
    edit(config);
    write_text_file(path("adapter") / "adapter_config.json", config.dump(2));
  }

  // The parameters by name after loading the adapter into the base.
  Weights load() {
    Model model = load_model(path("base"));
    attach_adapter(model, path("adapter"));
    const Arena arena = lay_out(model, Dtype::kBf16);
    load_adapter_weights(path("adapter"), model);
    Weights out;
    for (size_t i = 0; i < model.parameters.all().size(); ++i) {
      const Tensor t = model.parameters.value(static_cast<int>(i));
      const Tensor c = model.parameters.compute(static_cast<int>(i));
      auto& v = out[model.parameters.all()[i].name];
      v.assign(t.as<float>(), t.as<float>() + t.elements());
      for (int64_t k = 0; k < t.elements(); ++k)
        EXPECT_EQ(to_float(c.as<bf16>()[k]), to_float(to_bf16(v[static_cast<size_t>(k)])));
    }
    return out;
  }

  std::string fault() {
    return thrown_in(folder(), [&] { load(); });
  }
};

TEST_F(AdapterTest, RoundTrip) {
  make({.rank = 4,
        .targets = {"q_proj", "down_proj"},
        .modules_to_save = {"embed_tokens", "norm"},
        .bias = LoraBias::kAll},
       "qwen2");
  const Weights stored = read_weights(path("adapter") / "adapter_model.safetensors");
  EXPECT_EQ(load(), stored);
  EXPECT_TRUE(stored.contains(kLayer + "self_attn.q_proj.lora_A.weight"));
  EXPECT_TRUE(stored.contains(kLayer + "self_attn.q_proj.base_layer.bias"));
  EXPECT_TRUE(stored.contains(kLayer + "self_attn.k_proj.bias"));
  EXPECT_TRUE(stored.contains(kLayer + "input_layernorm.weight"));
  EXPECT_TRUE(stored.contains("base_model.model.model.embed_tokens.weight"));
}

TEST_F(AdapterTest, ConfigRoundTrip) {
  const LoraConfig c{.rank = 4,
                     .alpha = 12.5,
                     .dropout = 0.25,
                     .use_rslora = true,
                     .targets = {"q_proj", "v_proj"},
                     .exclude = {"layers.1.self_attn.q_proj"},
                     .modules_to_save = {"lm_head"},
                     .ensure_weight_tying = true,
                     .bias = LoraBias::kLoraOnly,
                     .init = LoraInit::kGaussian,
                     .rank_pattern = {{"v_proj", 3}, {"q_proj", 2}},
                     .alpha_pattern = {{"v_proj", 8.0}},
                     .layers_to_transform = {0, 2},
                     .base_model = "models/base"};
  make(c);
  const LoraConfig r = load_adapter_config(path("adapter"));
  EXPECT_EQ(r.rank, c.rank);
  EXPECT_EQ(r.alpha, c.alpha);
  EXPECT_EQ(r.dropout, c.dropout);
  EXPECT_EQ(r.use_rslora, c.use_rslora);
  EXPECT_EQ(r.targets, c.targets);
  EXPECT_EQ(r.exclude, c.exclude);
  EXPECT_EQ(r.modules_to_save, c.modules_to_save);
  EXPECT_EQ(r.ensure_weight_tying, c.ensure_weight_tying);
  EXPECT_EQ(r.bias, c.bias);
  EXPECT_EQ(r.init, c.init);
  EXPECT_EQ(r.rank_pattern, c.rank_pattern);
  EXPECT_EQ(r.alpha_pattern, c.alpha_pattern);
  EXPECT_EQ(r.layers_to_transform, c.layers_to_transform);
  EXPECT_EQ(r.base_model, c.base_model);
  EXPECT_EQ(load().size(), 2u * 2 * 2 + 1);

  const LoraConfig by_expression{
      .rank = 4, .targets_expression = ".*self_attn.*_proj", .exclude_expression = ".*k_proj"};
  make(by_expression);
  const LoraConfig e = load_adapter_config(path("adapter"));
  EXPECT_EQ(e.targets_expression, by_expression.targets_expression);
  EXPECT_EQ(e.exclude_expression, by_expression.exclude_expression);
  EXPECT_EQ(load().size(), 3u * 3 * 2);
}

TEST_F(AdapterTest, AllLinearIsSpelledOut) {
  make({.rank = 4});
  EXPECT_EQ(read_json_file(path("adapter") / "adapter_config.json").at("target_modules").dump(),
            R"(["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"])");
  rewrite_config([](Json& c) { c.set("target_modules", "ALL-linear"); });
  EXPECT_EQ(load().size(), 3u * 7 * 2);
}

TEST_F(AdapterTest, HalfPrecisionIsRead) {
  make({.rank = 4, .targets = {"q_proj"}});
  const Weights want = read_weights(path("adapter") / "adapter_model.safetensors");
  for (const Dtype dtype : {Dtype::kBf16, Dtype::kF16}) {
    rewrite([&](auto& infos, auto&) {
      for (auto& [name, info] : infos) info.dtype = dtype;
    });
    for (const auto& [name, got] : load())
      for (size_t i = 0; i < got.size(); ++i) {
        const float x = want.at(name)[i];
        ASSERT_EQ(got[i], dtype == Dtype::kBf16 ? to_float(to_bf16(x)) : to_float(to_f16(x)));
      }
    make({.rank = 4, .targets = {"q_proj"}});
  }
}

TEST_F(AdapterTest, TiedTablesAreOneOnRequest) {
  const std::string embedding = "base_model.model.model.embed_tokens.weight";
  const std::string head = "base_model.model.lm_head.weight";
  make({.targets = {"q_proj"}, .modules_to_save = {"lm_head"}, .ensure_weight_tying = true},
       "llama", true);
  Weights stored = read_weights(path("adapter") / "adapter_model.safetensors");
  EXPECT_TRUE(stored.contains(embedding));
  EXPECT_EQ(stored[embedding], stored[head]);
  // Otherwise what is named is trained, and the other stays the base's.
  fs::remove_all(folder() / "adapter");
  make({.targets = {"q_proj"}, .modules_to_save = {"lm_head"}}, "llama", true);
  stored = read_weights(path("adapter") / "adapter_model.safetensors");
  EXPECT_FALSE(stored.contains(embedding));
  Model model = load_model(path("base"));
  attach_adapter(model, path("adapter"));
  EXPECT_LT(model.embedding.parameter, 0);
  EXPECT_GE(model.head.weight_parameter, 0);
}

TEST_F(AdapterTest, ResizedVocabularyIsTakenOver) {
  make({.rank = 4, .targets = {"q_proj"}});
  rewrite([&](auto& infos, auto& values) {
    for (const char* table : {"model.embed_tokens", "lm_head"}) {
      const std::string name = cat("base_model.model.", table, ".weight");
      infos[name] = tensor_info(name, Dtype::kF32, {43, 16});
      values[name].assign(43 * 16, 0.5f);
    }
  });
  Model model = load_model(path("base"));
  const LoraConfig config = attach_adapter(model, path("adapter"));
  EXPECT_EQ(model.config.vocab_size, 43);
  EXPECT_EQ(model.head.out_features, 43);
  EXPECT_EQ(model.embedding.weight.dim(0), 43);
  EXPECT_EQ(model.head.weight.as<float>()[42 * 16], 0.5f);
  const Arena arena = lay_out(model);
  load_adapter_weights(path("adapter"), model);
  // And stored again, though not trained.
  fs::create_directories(path("again"));
  save_adapter(path("again"), model, config);
  EXPECT_TRUE(read_weights(path("again") / "adapter_model.safetensors") ==
              read_weights(path("adapter") / "adapter_model.safetensors"));

  rewrite([](auto& infos, auto&) { infos["base_model.model.lm_head.weight"].shape = {42, 16}; });
  EXPECT_EQ(fault(),
            "65: @/adapter/adapter_model.safetensors: the embedding has 43 rows, the head 42; the "
            "adapter is incomplete or was made for another model");
}

TEST_F(AdapterTest, RefusesWhatItCannotCompute) {
  make({.rank = 4, .targets = {"q_proj"}});
  const std::string place = "69: @/adapter/adapter_config.json: ";
  const auto with = [&](const char* name, const Json& value) {
    const std::string path_name = path("adapter") / "adapter_config.json";
    const std::string before = read_text_file(path_name);
    rewrite_config([&](Json& c) { c.set(name, value); });
    const std::string text = fault();
    write_text_file(path_name, before);
    EXPECT_TRUE(text.starts_with(place)) << text;
    return text.substr(std::min(text.size(), place.size()));
  };
  EXPECT_EQ(with("peft_type", "IA3"), "\"peft_type\": \"IA3\" is not supported");
  EXPECT_EQ(with("task_type", "SEQ_CLS"), "\"task_type\": \"SEQ_CLS\" is not supported");
  EXPECT_EQ(with("use_dora", true), "\"use_dora\" is not supported");
  EXPECT_EQ(with("use_qalora", true), "\"use_qalora\" is not supported");
  EXPECT_EQ(with("lora_bias", true), "\"lora_bias\" is not supported");
  EXPECT_EQ(with("fan_in_fan_out", true), "\"fan_in_fan_out\" is not supported");
  EXPECT_EQ(with("trainable_token_indices", Json::array({1})),
            "\"trainable_token_indices\" is not supported");
  EXPECT_EQ(with("target_parameters", Json::array({"x"})),
            "\"target_parameters\" is not supported");
  EXPECT_EQ(with("alora_invocation_tokens", Json::array({1})),
            "\"alora_invocation_tokens\" is not supported");
  EXPECT_EQ(with("layer_replication", Json::array({Json::array({0, 2})})),
            "\"layer_replication\" is not supported");
  EXPECT_EQ(with("kasa_config", Json::object({{"beta", 1}})), "\"kasa_config\" is not supported");
  EXPECT_EQ(with("megatron_config", Json::object({{"a", 1}})),
            "\"megatron_config\" is not supported");
  EXPECT_EQ(with("invented_in_the_future", 3), "\"invented_in_the_future\" is not supported");
  EXPECT_EQ(with("init_lora_weights", "pissa"),
            "\"init_lora_weights\": \"pissa\", which changes the base's weights, is not supported");
  EXPECT_EQ(with("bias", "some"), "\"bias\": \"some\" is not supported");
  EXPECT_EQ(with("layers_pattern", Json::array({"h"})),
            "\"layers_pattern\": \"h\" is not supported");
  EXPECT_EQ(with("target_modules", nullptr),
            "no \"target_modules\" (they are needed) is not supported");
  for (const char* harmless : {"future_flag", "revision", "velora_config"}) {
    rewrite_config([&](Json& c) { c.set(harmless, nullptr); });
    EXPECT_EQ(fault(), "nothing thrown");
  }
  for (const char* init : {"eva", "orthogonal", "gaussian"}) {
    rewrite_config([&](Json& c) { c.set("init_lora_weights", init); });
    EXPECT_EQ(fault(), "nothing thrown");
  }
}

TEST_F(AdapterTest, DamagedConfigs) {
  make({.rank = 4, .targets = {"q_proj"}});
  const fs::path file = path("adapter") / "adapter_config.json";
  const std::string good = read_text_file(file);
  const auto with = [&](const std::string& text) {
    write_text_file(file, text);
    return fault();
  };
  EXPECT_EQ(with("").substr(0, 35), "65: @/adapter/adapter_config.json: ");
  EXPECT_EQ(with(good.substr(0, 100)).substr(0, 35), "65: @/adapter/adapter_config.json: ");
  EXPECT_EQ(with("[1]"),
            "65: @/adapter/adapter_config.json: no JSON object; is it PEFT's configuration of an "
            "adapter?");
  const auto set = [&](const char* name, const Json& value) {
    Json c = parse_json(good, "good");
    c.set(name, value);
    return with(c.dump());
  };
  EXPECT_EQ(set("r", "four"),
            "65: @/adapter/adapter_config.json: \"r\": expected an integer, found a string; is it "
            "PEFT's configuration of an adapter?");
  EXPECT_EQ(set("r", -1), "65: @/adapter/adapter_config.json: a rank of -1; give 1 to 65536");
  EXPECT_EQ(set("r", int64_t{1} << 40).substr(0, 50),
            "65: @/adapter/adapter_config.json: a rank of 10995");
  EXPECT_EQ(set("rank_pattern", Json::object({{"q_proj(", 3}})).substr(0, 60),
            "65: @/adapter/adapter_config.json: \"q_proj(\" is no regular e");
  EXPECT_EQ(
      set("target_modules", Json::array({"nothing_proj"})),
      "65: @/adapter/adapter_config.json: the targets \"nothing_proj\" name no linear layer of "
      "the model; name some, q_proj for instance");
  fs::remove(file);
  EXPECT_EQ(fault(), "66: @/adapter: no adapter_config.json; give an adapter folder");
}

TEST_F(AdapterTest, TensorsThatDoNotFit) {
  const LoraConfig config{.rank = 4, .targets = {"q_proj"}};
  const std::string a = kLayer + "self_attn.q_proj.lora_A.weight";
  const std::string file = "65: @/adapter/adapter_model.safetensors: ";
  const auto with = [&](auto edit) {
    make(config);
    rewrite(edit);
    return fault();
  };
  EXPECT_EQ(
      with([&](auto& infos, auto&) { infos.erase(a); }),
      file + "no tensor \"" + a + "\"; the adapter is incomplete or was made for another model");
  EXPECT_EQ(
      with([&](auto& infos, auto&) { infos[a + "x"] = tensor_info(a + "x", Dtype::kF32, {1}); }),
      file + "tensor \"" + a +
          "x\": nothing in adapter_config.json or the model explains it; the adapter was made "
          "for another model");
  EXPECT_EQ(
      with([&](auto& infos, auto&) {
        infos[a].shape = {8, 8};
      }),
      file + "tensor \"" + a +
          "\": has shape (8,8), this model and configuration want (4,16); the adapter was made "
          "for another model");
  EXPECT_EQ(with([&](auto& infos, auto&) {
              infos[a].shape = {4, 16, 1};
            }).substr(0, file.size()),
            file);
  EXPECT_EQ(with([&](auto& infos, auto&) { infos[a].dtype = Dtype::kI64; }),
            file + "tensor \"" + a + "\": is I64, not F32, F16 or BF16");
  for (const float bad : {NAN, INFINITY}) {
    EXPECT_EQ(
        with([&](auto&, auto& values) { values[a][5] = bad; }),
        file + "tensor \"" + a +
            "\": holds a NaN or an infinity; the adapter is damaged or its training diverged");
  }
  const std::string table = "base_model.model.model.embed_tokens.weight";
  EXPECT_EQ(with([&](auto& infos, auto& values) {
              infos[table] = tensor_info(table, Dtype::kF32, {39, 16});
              values[table].assign(39 * 16, 0);
            }),
            file + "tensor \"" + table +
                "\": has shape (39,16), this model's is (40,16); the adapter was made for another "
                "model");
  make(config);
  fs::resize_file(path("adapter") / "adapter_model.safetensors", 100);
  EXPECT_EQ(fault().substr(0, file.size()), file);
  fs::rename(path("adapter") / "adapter_model.safetensors", path("adapter") / "adapter_model.bin");
  EXPECT_EQ(fault(),
            "69: @/adapter/adapter_model.bin: pickled weights are not read; save the "
            "adapter as safetensors");
  fs::remove(path("adapter") / "adapter_model.bin");
  EXPECT_EQ(fault().substr(0, 4), "66: ");
}

TEST_F(AdapterTest, FullModelIsSaved) {
  for (const bool tied : {false, true})
    for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
      const std::string name = cat(tied ? "tied-" : "", dtype_name(dtype));
      const fs::path base = path("base-" + name), out = path("out-" + name);
      Model model = make_model(base, tiny_shape("qwen2", tied));
      attach_full(model);
      const Arena arena = lay_out(model);
      init_trained(model, {}, 1);
      model.parameters.values().as<float>()[0] = 3.0f;
      fs::create_directories(out);
      save_full_model(out, model, base, dtype);
      Weights want = read_weights(base / "model.safetensors");
      want["model.embed_tokens.weight"][0] = 3.0f;
      if (dtype == Dtype::kBf16)
        for (auto& [weight, values] : want)
          for (float& x : values) x = to_float(to_bf16(x));
      EXPECT_TRUE(read_weights(out / "model.safetensors") == want);
      const Model again = load_model(out);
      EXPECT_EQ(again.config.dtype, dtype);
      EXPECT_TRUE(fs::exists(out / "generation_config.json"));
    }
}

}  // namespace
}  // namespace nibble::test
