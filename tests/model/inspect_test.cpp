// SPDX-License-Identifier: Apache-2.0
#include "model/inspect.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "io/lines.h"
#include "io/nbp.h"
#include "model/gguf_vocab.h"
#include "model/tokenizer_files.h"
#include "support/folder_test.h"
#include "support/gguf_builder.h"

namespace nibble {
namespace {

using test::thrown;

class Inspect : public test::FolderTest {
 protected:
  static std::vector<std::string> faults(const Json& document) {
    std::vector<std::string> out;
    for (const Json& fault : document.at("faults").as_array()) out.push_back(fault.as_string());
    return out;
  }
  // The only fault that verifying finds.
  std::string fault(const std::string& name) const {
    const auto all = faults(inspect(path(name), {.verify = true}));
    EXPECT_EQ(all.size(), 1u) << (all.empty() ? "" : all[0]);
    return all.empty() ? "" : all[0];
  }
  std::string shown(const std::string& file, const std::string& name) const {
    std::string out;
    show(path(file), name, [&](std::string_view text) { out += text; });
    return out;
  }
  void write_model() const {
    const Json config = test::tiny_config("qwen3");
    test::write_model_folder(path("m"), config,
                             test::random_weights(parse_model_config(config, "test"), 2));
  }
  void write_shard() const {
    ShardWriter shard(path("x.nbp"),
                      {.row_length = 8, .vocab_size = 50, .tokenizer = "abc", .mode = "pack"});
    shard.add({.tokens = {1, 2, 3}, .trained = {0, 1, 1}, .starts = {0}});
    shard.add({.tokens = {4, 5, 6, 7}, .trained = {0, 0, 0, 1}, .starts = {0, 2}});
    shard.commit();
  }
};

TEST_F(Inspect, Gguf) {
  test::GgufBuilder b;
  b.meta.string("general.name", "tiny");
  b.meta.f32("eps", 1e-5f);
  b.meta.strings("words", std::vector<std::string>(10, "w"));
  b.add("a.weight", {2, 2}, {1.0f, -2.0f, 3.0f, 0.5f});
  b.add("b", {32}, std::vector<float>(32, 0.25f), GgmlType::kQ8_0);
  b.write(path("x.gguf"));
  const Json d = inspect(path("x.gguf"), {.stats = true});
  EXPECT_EQ(d.at("kind").as_string(), "GGUF");
  EXPECT_EQ(d.at("summary").at("parameters").as_integer(), 36);
  EXPECT_EQ(d.at("summary").at("bytes").at("Q8_0").as_integer(), 34);
  EXPECT_EQ(d.at("metadata").at("eps").as_number(), 1e-5);
  EXPECT_EQ(d.at("metadata").at("words").at("count").as_integer(), 10);
  EXPECT_EQ(d.at("metadata").at("words").at("first").as_array().size(), 8u);
  const Json& a = d.at("tensors").as_array()[0];
  EXPECT_EQ(a.at("name").as_string(), "a.weight");
  EXPECT_EQ(a.at("shape"), Json::array({2, 2}));
  EXPECT_EQ(a.at("bytes").as_integer(), 16);
  EXPECT_EQ(a.at("stats").at("min").as_number(), -2.0);
  EXPECT_EQ(a.at("stats").at("max").as_number(), 3.0);
  EXPECT_EQ(a.at("stats").at("mean").as_number(), 0.625);
  EXPECT_EQ(a.at("stats").at("rms").as_number(), std::sqrt((1.0 + 4.0 + 9.0 + 0.25) / 4.0));
  EXPECT_EQ(d.find("faults"), nullptr);
  EXPECT_EQ(parse_json(d.dump(), "test"), d);

  EXPECT_EQ(shown("x.gguf", "a.weight"), "1 -2\n3 0.5\n");
  EXPECT_EQ(shown("x.gguf", "words"), "w\nw\nw\nw\nw\nw\nw\nw\nw\nw\n");
  EXPECT_EQ(shown("x.gguf", "eps"), "1e-05\n");
  EXPECT_EQ(thrown([&] { shown("x.gguf", "none"); }).substr(0, 4), "65: ");
}

TEST_F(Inspect, TextForPeople) {
  test::GgufBuilder b;
  b.meta.string("general.name", "two\nlines\x1b[2J");
  b.meta.strings("words", std::vector<std::string>(10, "w"));
  b.add("long.name", {300, 1000}, std::vector<float>(300000, 0.5f));
  b.add("b", {3}, {1.0f, 2.0f, 3.0f});
  b.write(path("x.gguf"));
  Json d = inspect(path("x.gguf"), {.stats = true, .verify = true});
  d.set("path", "x.gguf");
  EXPECT_EQ(render_inspection(d),
            "x.gguf: GGUF\n"
            "  version     3\n"
            "  alignment   32\n"
            "  parameters  300,003\n"
            "  tensors     2\n"
            "  bytes       F32 1.1 MiB\n"
            "metadata\n"
            "  general.name  two?lines?[2J\n"
            "  words         10 x string \"w\" \"w\" \"w\" \"w\" \"w\" \"w\" \"w\" \"w\" ...\n"
            "tensors\n"
            "  name       type  shape          size  min  max  mean   rms\n"
            "  long.name  F32   300 x 1000  1.1 MiB  0.5  0.5   0.5   0.5\n"
            "  b          F32   3              12 B    1    3     2  2.16\n"
            "verified: sound\n");
}

TEST_F(Inspect, VerifiesGguf) {
  test::GgufBuilder b;
  b.add("a", {2}, {1.0f, NAN});
  b.write(path("nan.gguf"));
  EXPECT_NE(fault("nan.gguf").find("tensor \"a\": 1 of 2 values are not finite"),
            std::string::npos);
  EXPECT_NO_THROW(inspect(path("nan.gguf"), {.stats = true}).dump());
  std::string bytes = read_text_file(path("nan.gguf"));
  write_text_file(path("cut.gguf"), bytes.substr(0, 40));
  EXPECT_NE(fault("cut.gguf").find("cut.gguf: "), std::string::npos);
  EXPECT_EQ(thrown([&] { inspect(path("cut.gguf"), {}); }).substr(0, 4), "65: ");
  // A model whose metadata cannot be a model's.
  const ModelConfig config = parse_model_config(test::tiny_config("llama"), "test");
  test::GgufBuilder m = test::tiny_gguf(
      "llama", test::random_weights(config, 1), config, [](const std::string& name) {
        return name == "model.embed_tokens.weight" ? std::string("token_embd.weight") : name;
      });
  m.write(path("m.gguf"));
  EXPECT_NE(fault("m.gguf").find("no \"tokenizer.ggml.model\""), std::string::npos);
}

TEST_F(Inspect, ModelFolder) {
  write_model();
  const Json d = inspect(path("m"), {.verify = true});
  EXPECT_TRUE(faults(d).empty()) << faults(d)[0];
  const Json& s = d.at("summary");
  EXPECT_EQ(s.at("family").as_string(), "qwen3");
  // 2 * 96*32 + 3 * (32*(32+16+16) + 32*32 + 3*32*48 + 2*32 + 2*8) + 32
  EXPECT_EQ(s.at("parameters").as_integer(), 6144 + 3 * (2048 + 1024 + 4608 + 64 + 16) + 32);
  EXPECT_EQ(s.at("tokenizer").as_string(), "none");
  EXPECT_EQ(shown("m", "model.norm.weight"), shown("m/model.safetensors", "model.norm.weight"));

  Json config = test::tiny_config("qwen3");
  config.set("intermediate_size", 47);
  write_text_file(path("m") / "config.json", config.dump());
  EXPECT_EQ(faults(inspect(path("m"), {.verify = true})).size(), 9u);  // gate, up, down of 3 layers
  EXPECT_EQ(thrown([&] { inspect(path("m"), {}); }).substr(0, 4), "65: ");

  config = test::tiny_config("llama");
  write_text_file(path("m") / "config.json", config.dump());
  const auto extra = faults(inspect(path("m"), {.verify = true}));
  ASSERT_EQ(extra.size(), 6u);
  EXPECT_NE(extra[0].find("has no place in this family"), std::string::npos);
}

TEST_F(Inspect, TokenizerOfAModelFolder) {
  write_model();
  write_text_file(path("m") / "tokenizer.json", "{");
  EXPECT_NE(fault("m").find("tokenizer.json"), std::string::npos);
  EXPECT_NO_THROW(inspect(path("m"), {}));
  GgufMetadata meta;
  test::add_tiny_bpe(meta);
  GgufWriter(path("v.gguf"), meta, {}).commit();
  const GgufVocab vocab = read_gguf_vocab(GgufFile(path("v.gguf")), 40);
  write_tokenizer_files(vocab, path("m"));
  EXPECT_TRUE(faults(inspect(path("m"), {.verify = true})).empty());
  Json config = test::tiny_config("qwen3");
  config.set("vocab_size", 30);
  test::write_model_folder(path("m"), config,
                           test::random_weights(parse_model_config(config, "test"), 2));
  EXPECT_NE(fault("m").find("tokens, the model's vocabulary 30"), std::string::npos);
}

TEST_F(Inspect, ShardedFolder) {
  const Json config = test::tiny_config("llama");
  test::write_model_folder(path("m"), config,
                           test::random_weights(parse_model_config(config, "test"), 2), Dtype::kF32,
                           9000);
  EXPECT_GT(inspect(path("m"), {}).at("summary").at("files").as_integer(), 3);
  const fs::path index = path("m") / "model.safetensors.index.json";
  Json document = read_json_file(index);
  document.find("metadata")->set("total_size", 7);
  write_text_file(index, document.dump());
  EXPECT_NE(fault("m").find("total_size is 7"), std::string::npos);
  for (const auto& entry : fs::directory_iterator(path("m")))
    if (entry.path().filename().string().starts_with("model-00002")) fs::remove(entry.path());
  EXPECT_NE(fault("m").find("missing"), std::string::npos);
}

TEST_F(Inspect, AdapterFolder) {
  const auto write = [&](std::vector<int64_t> a, std::vector<int64_t> b, bool with_b) {
    fs::create_directories(path("a"));
    write_text_file(
        path("a") / "adapter_config.json",
        R"({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]})");
    const std::string stem = "base_model.model.model.layers.0.self_attn.q_proj.lora_";
    std::vector<TensorInfo> infos = {tensor_info(stem + "A.weight", Dtype::kF32, a)};
    if (with_b) infos.push_back(tensor_info(stem + "B.weight", Dtype::kF32, b));
    TensorWriter writer(path("a"), infos, {}, SIZE_MAX, "adapter_model");
    for (const TensorInfo& info : infos)
      writer.write(std::string(info.bytes, '\0').data(), info.bytes);
    writer.finish();
  };
  write({4, 32}, {32, 4}, true);
  const Json d = inspect(path("a"), {.verify = true});
  EXPECT_EQ(d.at("kind").as_string(), "adapter folder");
  EXPECT_TRUE(faults(d).empty());
  EXPECT_EQ(d.at("summary").at("rank").as_integer(), 4);
  EXPECT_EQ(d.at("summary").at("parameters").as_integer(), 256);
  write({4, 32}, {32, 3}, true);
  EXPECT_NE(fault("a").find("(4 x 32) and its lora_B (32 x 3) differ"), std::string::npos);
  write({4, 32}, {}, false);
  EXPECT_NE(fault("a").find("has no lora_B"), std::string::npos);
  write_text_file(path("a") / "trainer_state.json", R"({"step": 12, "history": []})");
  const Json checkpoint = inspect(path("a"), {});
  EXPECT_EQ(checkpoint.at("kind").as_string(), "checkpoint");
  EXPECT_EQ(checkpoint.at("metadata").at("step").as_integer(), 12);
}

TEST_F(Inspect, PackedShard) {
  write_shard();
  const Json d = inspect(path("x.nbp"), {.verify = true});
  EXPECT_TRUE(faults(d).empty());
  EXPECT_EQ(d.at("summary").at("rows").as_integer(), 2);
  EXPECT_EQ(d.at("summary").at("trained").as_integer(), 3);
  // Its rows are shown as training data (data/show_samples.h).
  EXPECT_EQ(thrown([&] { shown("x.nbp", "1"); }).substr(0, 4), "65: ");
  std::string bytes = read_text_file(path("x.nbp"));
  const size_t frame = 16 + static_cast<unsigned char>(bytes[12]) +
                       256u * static_cast<unsigned char>(bytes[13]) + 12;
  bytes[frame] = static_cast<char>(bytes[frame] ^ 1);
  write_text_file(path("x.nbp"), bytes);
  EXPECT_NE(fault("x.nbp").find("frame 0"), std::string::npos);
  EXPECT_NO_THROW(inspect(path("x.nbp"), {}));
}

TEST_F(Inspect, JsonLines) {
  write_text_file(path("d.jsonl"), "{\"a\": 1}\n\n{\"a\": 2, \"b\": 3}\n{\"a\":\n");
  EXPECT_NE(fault("d.jsonl").find("d.jsonl:4"), std::string::npos);
  EXPECT_EQ(thrown([&] { inspect(path("d.jsonl"), {}); }).substr(0, 4), "65: ");
  LineWriter out(path("good.jsonl.zst").string());
  out.line("{\"a\": 1}");
  out.line("{\"b\": 1}");
  out.commit();
  const Json d = inspect(path("good.jsonl.zst"), {});
  EXPECT_EQ(d.at("summary").at("records").as_integer(), 2);
  EXPECT_EQ(d.at("summary").at("fields").at("b").as_integer(), 1);
}

TEST_F(Inspect, RefusesWhatItDoesNotKnow) {
  fs::create_directories(path("empty"));
  write_text_file(path("x.txt"), "text");
  write_text_file(path("x.safetensors"), "");
  EXPECT_EQ(thrown([&] { inspect(path("none"), {}); }).substr(0, 4), "66: ");
  EXPECT_EQ(thrown([&] { inspect(path("empty"), {}); }).substr(0, 4), "65: ");
  EXPECT_EQ(thrown([&] { inspect(path("x.txt"), {}); }).substr(0, 4), "65: ");
  EXPECT_EQ(thrown([&] { inspect(path("x.safetensors"), {}); }).substr(0, 4), "65: ");
  EXPECT_EQ(faults(inspect(path("x.safetensors"), {.verify = true})).size(), 1u);
}

}  // namespace
}  // namespace nibble
