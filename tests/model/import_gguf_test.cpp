// SPDX-License-Identifier: Apache-2.0
// Import of GGUF files: weights, configuration, and what is refused.
#include <gtest/gtest.h>

#include "model/gguf_config.h"
#include "model/gguf_names.h"
#include "model/import.h"
#include "support/folder_test.h"
#include "support/gguf_builder.h"

namespace nibble {
namespace {

using test::GgufBuilder;
using test::thrown;

// llama.cpp's names, spelled out once more.
std::string llama_cpp_name(const std::string& hf) {
  if (hf == "model.embed_tokens.weight") return "token_embd.weight";
  if (hf == "model.norm.weight") return "output_norm.weight";
  if (hf == "lm_head.weight") return "output.weight";
  static const std::map<std::string, std::string> kParts = {
      {"input_layernorm", "attn_norm"},    {"self_attn.q_proj", "attn_q"},
      {"self_attn.k_proj", "attn_k"},      {"self_attn.v_proj", "attn_v"},
      {"self_attn.o_proj", "attn_output"}, {"self_attn.q_norm", "attn_q_norm"},
      {"self_attn.k_norm", "attn_k_norm"}, {"post_attention_layernorm", "ffn_norm"},
      {"mlp.gate_proj", "ffn_gate"},       {"mlp.up_proj", "ffn_up"},
      {"mlp.down_proj", "ffn_down"}};
  const std::string rest = hf.substr(std::string("model.layers.").size());
  const size_t dot = rest.find('.'), last = rest.rfind('.');
  return "blk." + rest.substr(0, dot) + "." + kParts.at(rest.substr(dot + 1, last - dot - 1)) +
         rest.substr(last);
}

class ImportGguf : public test::FolderTest {
 protected:
  // A model of that architecture, without tokenizer.
  GgufBuilder model(const std::string& architecture, const Json& config) {
    config_ = parse_model_config(config, "test");
    weights_ = test::random_weights(config_, 3);
    return test::tiny_gguf(architecture, weights_, config_, llama_cpp_name);
  }
  GgufBuilder good(const std::string& architecture = "llama") {
    GgufBuilder b = model(architecture, test::tiny_config(architecture));
    test::add_tiny_bpe(b.meta);
    return b;
  }
  std::string fault(const GgufBuilder& b) const {
    b.write(path("in.gguf"));
    const std::string text = thrown([&] { import_model(path("in.gguf"), path("out"), {}); });
    EXPECT_FALSE(fs::exists(path("out"))) << text;
    return text;
  }

  ModelConfig config_;
  test::Weights weights_;
};

TEST_F(ImportGguf, NamesGoBothWays) {
  for (const char* family : {"llama", "qwen3"}) {
    Json document = test::tiny_config(family);
    document.set("attention_bias", true);
    document.set("mlp_bias", true);
    for (const WeightSpec& spec : model_weights(parse_model_config(document, "test"))) {
      const auto name = gguf_name(spec.name);
      ASSERT_TRUE(name) << spec.name;
      EXPECT_EQ(*name, llama_cpp_name(spec.name));
      EXPECT_EQ(hf_name(*name), spec.name);
    }
  }
  for (const char* name : {"", ".", "weight", "model.layers.weight", "model.layers..weight",
                           "model.layers.1.weight", "model.layers.x.mlp.up_proj.weight",
                           "model.layers.1.mlp.up_proj.scale", "model.layers.1.mlp.upproj.weight",
                           "model.layers.1mlp.up_proj.weight", "model.embed_tokens"})
    EXPECT_FALSE(gguf_name(name)) << name;
  for (int64_t row = 0; row < 24; ++row) {
    EXPECT_EQ(split_row(interleaved_row(row, 8), 8), row);
    EXPECT_EQ(interleaved_row(row, 8) / 8, row / 8);
  }
  EXPECT_EQ(interleaved_row(1, 8), 2);
  EXPECT_EQ(interleaved_row(4, 8), 1);
}

TEST_F(ImportGguf, EveryArchitecture) {
  for (const std::string architecture : {"llama", "qwen2", "qwen3"})
    for (const bool bias : {false, true}) {
      if (architecture == "qwen2" && bias) continue;  // has its biases always
      Json document = test::tiny_config(architecture);
      document.set("attention_bias", bias);
      document.set("mlp_bias", bias && architecture == "llama");
      GgufBuilder b = model(architecture, document);
      test::add_tiny_bpe(b.meta);
      const std::string name = cat(architecture, bias ? "-bias" : "");
      b.write(path(name + ".gguf"));
      import_model(path(name + ".gguf"), path(name), {});
      EXPECT_EQ(test::read_weights(path(name)), weights_) << name;
      const ModelConfig c = load_model_config(path(name));
      EXPECT_EQ(c.family, architecture);
      EXPECT_EQ(c.vocab_size, 96);
      EXPECT_EQ(c.head_dim, 8);
      EXPECT_EQ(c.norm_eps, 1e-5);
      EXPECT_EQ(c.rope.theta, 10000.0);
      EXPECT_EQ(c.max_position, 128);
      EXPECT_FALSE(c.tied_embeddings);
      EXPECT_EQ(c.dtype, Dtype::kF32);
      EXPECT_EQ(c.bos, 1);
      EXPECT_EQ(c.eos, (std::vector<int32_t>{0, 2}));
    }
}

TEST_F(ImportGguf, TiedHeads) {
  GgufBuilder absent = good();
  absent.remove("output.weight");
  absent.write(path("absent.gguf"));
  import_model(path("absent.gguf"), path("absent"), {});
  EXPECT_TRUE(load_model_config(path("absent")).tied_embeddings);
  EXPECT_EQ(test::read_weights(path("absent")).size(), weights_.size() - 1);

  GgufBuilder twice = good();
  twice.remove("output.weight");
  twice.add("output.weight", {96, 32}, weights_.at("model.embed_tokens.weight"));
  twice.write(path("twice.gguf"));
  import_model(path("twice.gguf"), path("twice"), {});
  EXPECT_TRUE(load_model_config(path("twice")).tied_embeddings);
}

TEST_F(ImportGguf, TypesAreKeptOrDecoded) {
  GgufBuilder b = good();  // rows of 32, one block
  b.info("blk.0.ffn_up.weight").type = GgmlType::kQ8_0;
  b.info("blk.0.ffn_gate.weight").type = GgmlType::kF16;
  b.info("blk.1.attn_q.weight").type = GgmlType::kQ4_0;
  b.write(path("in.gguf"));
  import_model(path("in.gguf"), path("out"), {});
  const TensorStore store(path("out"));
  EXPECT_EQ(store.at("model.layers.0.mlp.up_proj.weight").info.dtype, Dtype::kBf16);
  EXPECT_EQ(store.at("model.layers.0.mlp.gate_proj.weight").info.dtype, Dtype::kF16);
  EXPECT_EQ(store.at("model.layers.0.mlp.down_proj.weight").info.dtype, Dtype::kF32);

  // The decoded rows, put back in order, rounded to bf16.
  const GgufFile file(path("in.gguf"));
  const GgufTensor& q = *file.find_tensor("blk.1.attn_q.weight");
  std::vector<float> decoded(static_cast<size_t>(q.elements()));
  decode_blocks(q.type, q.bytes.data(), decoded.data(), q.elements());
  auto out = test::read_weights(path("out")).at("model.layers.1.self_attn.q_proj.weight");
  EXPECT_EQ(test::interleaved(out, 8, 32), [&] {
    std::vector<float> w;
    for (const float x : decoded) w.push_back(to_float(to_bf16(x)));
    return w;
  }());
  import_model(path("in.gguf"), path("f32"), {.dtype = Dtype::kF32});
  out = test::read_weights(path("f32")).at("model.layers.1.self_attn.q_proj.weight");
  EXPECT_EQ(test::interleaved(out, 8, 32), decoded);
  EXPECT_EQ(load_model_config(path("f32")).dtype, Dtype::kF32);
}

TEST_F(ImportGguf, RopeScaling) {
  GgufBuilder linear = good();
  linear.meta.string("llama.rope.scaling.type", "linear");
  linear.meta.f32("llama.rope.scaling.factor", 4.0f);
  linear.write(path("linear.gguf"));
  import_model(path("linear.gguf"), path("linear"), {});
  const RopeConfig rope = load_model_config(path("linear")).rope;
  EXPECT_EQ(rope.scaling, RopeScaling::kLinear);
  EXPECT_EQ(rope.factor, 4.0);

  const RopeConfig llama3{.theta = 10000.0,
                          .scaling = RopeScaling::kLlama3,
                          .factor = 8.0,
                          .original_max_position = 32};
  GgufBuilder scaled = good();
  scaled.add("rope_freqs.weight", {4}, llama3_rope_factors(llama3, 8));
  scaled.write(path("llama3.gguf"));
  import_model(path("llama3.gguf"), path("llama3"), {});
  const RopeConfig found = load_model_config(path("llama3")).rope;
  EXPECT_EQ(found.scaling, RopeScaling::kLlama3);
  EXPECT_EQ(found.factor, 8.0);
  EXPECT_EQ(llama3_rope_factors(found, 8), llama3_rope_factors(llama3, 8));

  GgufBuilder other = good();
  other.add("rope_freqs.weight", {4}, {1.0f, 1.1f, 1.5f, 9.0f});
  EXPECT_NE(fault(other).find("69: "), std::string::npos);
  EXPECT_NE(fault(other).find("RoPE scaling other than LLaMA 3.1's"), std::string::npos);
}

// What llama.cpp's converter writes for LLaMA 3.2 1B (theta 500000, D 64, factor 32), in float.
TEST_F(ImportGguf, FindsLlama32Scaling) {
  std::vector<float> factors(15, 1.0f);
  factors.insert(factors.end(), {1.65132928f, 3.29226279f, 9.66673088f});
  factors.resize(32, 32.0f);
  const auto rope = find_llama3_rope(factors, 500000.0);
  ASSERT_TRUE(rope);
  EXPECT_EQ(rope->factor, 32.0);
  EXPECT_EQ(rope->low_freq_factor, 1.0);
  EXPECT_EQ(rope->high_freq_factor, 4.0);
  EXPECT_EQ(rope->original_max_position, 8192);
  factors[16] *= 1.001f;
  EXPECT_FALSE(find_llama3_rope(factors, 500000.0));
  EXPECT_FALSE(find_llama3_rope({}, 500000.0));
}

TEST_F(ImportGguf, SlidingWindows) {
  GgufBuilder mistral = good();
  mistral.meta.u32("llama.attention.sliding_window", 16);
  mistral.write(path("mistral.gguf"));
  import_model(path("mistral.gguf"), path("mistral"), {});
  const ModelConfig m = load_model_config(path("mistral"));
  EXPECT_EQ(m.family, "mistral");
  EXPECT_EQ(m.window, 16);
  EXPECT_EQ(test::read_weights(path("mistral")), weights_);

  GgufBuilder qwen = good("qwen2");
  qwen.meta.u32("qwen2.attention.sliding_window", 16);
  qwen.write(path("qwen.gguf"));
  import_model(path("qwen.gguf"), path("qwen"), {});
  EXPECT_EQ(load_model_config(path("qwen")).window_of(1), 16);
}

TEST_F(ImportGguf, RefusesByName) {
  const struct {
    const char* says;
    std::function<void(GgufBuilder&)> change;
  } cases[] = {
      {"65: *\"tokenizer.ggml.model\"",
       [](GgufBuilder& b) { b.meta = test::tiny_gguf_metadata("llama"); }},
      {"69: *architecture \"gemma3\" is not supported",
       [](GgufBuilder& b) { b.meta = test::tiny_gguf_metadata("gemma3"); }},
      {"65: *no \"general.architecture\"", [](GgufBuilder& b) { b.meta = {}; }},
      {"69: *\"llama.logit_scale\" may change",
       [](GgufBuilder& b) { b.meta.f32("llama.logit_scale", 2.0f); }},
      {"69: *mixture of experts", [](GgufBuilder& b) { b.meta.u32("llama.expert_count", 8); }},
      {"69: *\"yarn\"", [](GgufBuilder& b) { b.meta.string("llama.rope.scaling.type", "yarn"); }},
      {"69: *rotates a part", [](GgufBuilder& b) { b.meta.u32("llama.rope.dimension_count", 4); }},
      {"69: *\"llama.attention.causal\" is false",
       [](GgufBuilder& b) { b.meta.boolean("llama.attention.causal", false); }},
      {"69: *tensor \"blk.0.attn_sinks.weight\" has no place",
       [](GgufBuilder& b) {
         b.add("blk.0.attn_sinks.weight", {3}, {1, 2, 3});
       }},
      {"65: *no tensor \"blk.1.ffn_down.weight\"",
       [](GgufBuilder& b) { b.remove("blk.1.ffn_down.weight"); }},
      {"65: *no matrix \"token_embd.weight\"",
       [](GgufBuilder& b) { b.remove("token_embd.weight"); }},
      {"65: *\"blk.0.attn_v.weight\" is 32 x 16, not 16 x 32",
       [](GgufBuilder& b) {
         b.info("blk.0.attn_v.weight").shape = {32, 16};
       }},
  };
  for (const auto& c : cases) {
    GgufBuilder b = good();
    c.change(b);
    const std::string text = fault(b), says = c.says;
    EXPECT_EQ(text.substr(0, 4), says.substr(0, 4)) << text;
    EXPECT_NE(text.find(says.substr(5)), std::string::npos) << text << "\n wanted " << says;
  }
  GgufBuilder nan = good();
  nan.values[0][38] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_NE(fault(nan).find("row 1, column 6 is NaN"), std::string::npos) << fault(nan);
}

// A type that cannot be decoded is named; GgufWriter cannot write one, so its code is patched in.
TEST_F(ImportGguf, NamesTypesItCannotDecode) {
  GgufBuilder b = good();
  b.info("blk.0.ffn_norm.weight").type = GgmlType::kBf16;
  b.write(path("in.gguf"));
  std::string bytes = read_text_file(path("in.gguf"));
  const size_t at = bytes.find("blk.0.ffn_norm.weight") + 21 + 4 + 8;
  ASSERT_EQ(bytes[at], 30);
  bytes[at] = 25;  // I16
  write_text_file(path("in.gguf"), bytes);
  const std::string text = thrown([&] { import_model(path("in.gguf"), path("out"), {}); });
  EXPECT_NE(text.find("69: "), std::string::npos) << text;
  EXPECT_NE(text.find("is of type I16, which is not supported"), std::string::npos) << text;
}

}  // namespace
}  // namespace nibble
