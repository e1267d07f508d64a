// SPDX-License-Identifier: Apache-2.0
// Import of llama2.c checkpoints, written here as that project's export.py writes them.
#include <gtest/gtest.h>

#include <cmath>

#include "model/import.h"
#include "support/folder_test.h"
#include "support/gguf_builder.h"
#include "text/sentencepiece_file.h"

namespace nibble {
namespace {

using test::thrown;

template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

class ImportLlama2c : public test::FolderTest {
 protected:
  void SetUp() override {
    FolderTest::SetUp();
    write_text_file(path("tok260.bin"), vocabulary(260));
  }

  void make(bool shared_head) {
    Json document = test::tiny_config("llama");
    document.set("vocab_size", 260);
    document.set("tie_word_embeddings", shared_head);
    config_ = parse_model_config(document, "test");
    weights_ = test::random_weights(config_, 5);
  }
  // A weight as that project lays it out: q and k in Meta's order.
  std::vector<float> stored(const std::string& name) const {
    const std::vector<float>& w = weights_.at(name);
    const bool qk =
        name.find("q_proj") != std::string::npos || name.find("k_proj") != std::string::npos;
    return qk ? test::interleaved(w, 8, 32) : w;
  }
  void floats(std::string& out, const std::string& name) const {
    for (const float x : stored(name)) put(out, x);
  }
  void layers(std::string& out, const std::string& stem) const {
    for (int l = 0; l < 3; ++l) floats(out, cat("model.layers.", l, ".", stem, ".weight"));
  }
  std::string parameters(bool negative_vocab) const {
    std::string out;
    for (const int32_t n : {32, 48, 3, 4, 2, negative_vocab ? -260 : 260, 128}) put(out, n);
    return out;
  }
  std::string version0() const {
    std::string out = parameters(!config_.tied_embeddings);
    floats(out, "model.embed_tokens.weight");
    for (const char* stem : {"input_layernorm", "self_attn.q_proj", "self_attn.k_proj",
                             "self_attn.v_proj", "self_attn.o_proj", "post_attention_layernorm",
                             "mlp.gate_proj", "mlp.down_proj", "mlp.up_proj"})
      layers(out, stem);
    floats(out, "model.norm.weight");
    out.append(128 * 8 * sizeof(float), '\x7f');  // RoPE tables, not read
    if (!config_.tied_embeddings) floats(out, "lm_head.weight");
    return out;
  }
  std::string head_of(int32_t version, int32_t group) const {
    std::string out;
    put(out, uint32_t{0x616b3432});
    put(out, version);
    out += parameters(false);
    out += static_cast<char>(config_.tied_embeddings);
    if (version == 2) put(out, group);
    out.resize(256, '\0');
    return out;
  }
  void norms(std::string& out) const {
    layers(out, "input_layernorm");
    layers(out, "post_attention_layernorm");
    floats(out, "model.norm.weight");
  }
  std::vector<std::string> matrices() const {
    std::vector<std::string> names = {"model.embed_tokens.weight"};
    for (const char* stem : {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                             "self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj", "mlp.up_proj"})
      for (int l = 0; l < 3; ++l) names.push_back(cat("model.layers.", l, ".", stem, ".weight"));
    if (!config_.tied_embeddings) names.push_back("lm_head.weight");
    return names;
  }
  std::string version1() const {
    std::string out = head_of(1, 0);
    norms(out);
    for (const std::string& name : matrices()) floats(out, name);
    return out;
  }
  static std::string vocabulary(int count) {
    std::string out;
    put(out, int32_t{6});
    for (int i = 0; i < count; ++i) {
      const char* hex = "0123456789ABCDEF";
      const int byte = i - 3;
      const std::string text = i == 0    ? "<unk>"
                               : i == 1  ? "\n<s>\n"
                               : i == 2  ? "\n</s>\n"
                               : i < 259 ? cat("<0x", hex[byte / 16], hex[byte % 16], ">")
                                         : cat(" t", i);
      put(out, i < 259 ? 0.0f : static_cast<float>(259 - i));
      put(out, static_cast<int32_t>(text.size()));
      out += text;
    }
    return out;
  }
  std::string fault(const std::string& bytes) const {
    write_text_file(path("bad.bin"), bytes);
    const std::string text = thrown([&] { import_model(path("bad.bin"), path("bad"), {}); });
    EXPECT_FALSE(fs::exists(path("bad"))) << text;
    return text;
  }

  ModelConfig config_;
  test::Weights weights_;
};

TEST_F(ImportLlama2c, FloatVersions) {
  for (const bool shared : {true, false}) {
    make(shared);
    for (const auto& [name, bytes] : {std::pair(cat("v0-", shared ? 1 : 0), version0()),
                                      std::pair(cat("v1-", shared ? 1 : 0), version1())}) {
      write_text_file(path(name + ".bin"), bytes);
      const ImportReport report = import_model(path(name + ".bin"), path(name), {});
      EXPECT_EQ(test::read_weights(path(name)), weights_) << name;
      EXPECT_EQ(report.config.tied_embeddings, shared);
      const ModelConfig c = load_model_config(path(name));
      EXPECT_EQ(c.head_dim, 8);
      EXPECT_EQ(c.max_position, 128);
      EXPECT_EQ(c.bos, 1);
      EXPECT_EQ(c.eos, std::vector<int32_t>{2});
      const auto model = parse_sentencepiece(read_text_file(path(name) / "tokenizer.model"));
      ASSERT_EQ(model.pieces.size(), 260u);
      EXPECT_EQ(model.pieces[1].text, "<s>");
      EXPECT_EQ(model.pieces[259].text, "\xe2\x96\x81t259");
      EXPECT_EQ(model.pieces[258].type, PieceType::kByte);
    }
  }
}

TEST_F(ImportLlama2c, Int8Version) {
  make(false);
  std::string bytes = head_of(2, 16);
  norms(bytes);
  test::Weights want;
  for (const std::string& name : matrices()) {
    const std::vector<float> w = stored(name);
    std::string codes;
    std::vector<float> scales;
    for (size_t i = 0; i < w.size(); ++i) {
      if (i % 16 == 0) scales.push_back(0.25f + static_cast<float>(i % 5));
      codes += static_cast<char>(std::lround(w[i] * 100.0f));
      want[name].push_back(static_cast<float>(static_cast<int8_t>(codes.back())) * scales.back());
    }
    bytes += codes;
    for (const float s : scales) put(bytes, s);
  }
  write_text_file(path("v2.bin"), bytes);
  import_model(path("v2.bin"), path("v2"), {.dtype = Dtype::kF32});
  test::Weights out = test::read_weights(path("v2"));
  EXPECT_EQ(out.at("model.norm.weight"), weights_.at("model.norm.weight"));
  for (const auto& [name, values] : want) {
    const bool qk =
        name.find("q_proj") != std::string::npos || name.find("k_proj") != std::string::npos;
    EXPECT_EQ(qk ? test::interleaved(out.at(name), 8, 32) : out.at(name), values) << name;
  }
  import_model(path("v2.bin"), path("keep"), {});
  EXPECT_EQ(load_model_config(path("keep")).dtype, Dtype::kBf16);
}

TEST_F(ImportLlama2c, RefusesDamage) {
  make(true);
  const std::string good = version0();
  EXPECT_NE(fault("").find("65: "), std::string::npos);
  EXPECT_NE(fault("short").find("only 5 bytes long"), std::string::npos);
  EXPECT_NE(fault(good.substr(0, good.size() - 4)).find("its header promises"), std::string::npos);
  EXPECT_NE(fault(good.substr(0, 2000)).find("ends inside"), std::string::npos);
  EXPECT_NE(fault(good + "more").find("its header promises"), std::string::npos);
  EXPECT_NE(fault(std::string(300, '\0')).find("header makes no sense"), std::string::npos);
  EXPECT_NE(fault(std::string(300, '\xff')).find("header makes no sense"), std::string::npos);
  EXPECT_NE(fault(std::string(300, 'x')).find("header makes no sense"), std::string::npos);
  std::string later = version1();
  later[4] = 3;
  EXPECT_NE(fault(later).find("69: "), std::string::npos);
  std::string grouped = head_of(2, 7) + std::string(100000, '\0');
  EXPECT_NE(fault(grouped).find("header makes no sense"), std::string::npos);
}

TEST_F(ImportLlama2c, NeedsItsVocabulary) {
  make(true);
  write_text_file(path("m.bin"), version0());
  write_text_file(path("cut.bin"), vocabulary(260).substr(0, 700));
  write_text_file(path("less.bin"), vocabulary(259));
  write_text_file(path("more.bin"), vocabulary(261));
  for (const auto& [name, says] : {std::pair("cut.bin", "is it the vocabulary of 260 pieces"),
                                   std::pair("less.bin", "ends before piece 259"),
                                   std::pair("more.bin", "follow the last piece")}) {
    const std::string text = thrown(
        [&] { import_model(path("m.bin"), path("out"), {.tokenizer = path(name).string()}); });
    EXPECT_NE(text.find(says), std::string::npos) << text;
  }
  fs::remove(path("tok260.bin"));
  const std::string text = thrown([&] { import_model(path("m.bin"), path("out"), {}); });
  EXPECT_NE(text.find("66: "), std::string::npos) << text;
  EXPECT_NE(text.find("--tokenizer=FILE"), std::string::npos) << text;
  write_text_file(path("other.bin"), vocabulary(260));
  import_model(path("m.bin"), path("out"), {.tokenizer = path("other.bin").string()});
  EXPECT_TRUE(fs::exists(path("out") / "tokenizer.model"));
}

}  // namespace
}  // namespace nibble
