// SPDX-License-Identifier: Apache-2.0
#include "model/init.h"

#include <cmath>
#include <cstring>

#include "base/threads.h"
#include "support/initial_model.h"
#include "text/sentencepiece_file.h"
#include "text/sentencepiece_train.h"

namespace nibble::test {
namespace {

using InitTest = FolderTest;

std::string bytes_of(const fs::path& path) {
  return read_text_file(path);
}

TEST_F(InitTest, EveryFamilyLoads) {
  for (const char* family : {"llama", "mistral", "qwen2", "qwen3"})
    for (const bool tied : {false, true})
      for (const Dtype dtype : {Dtype::kF32, tied ? Dtype::kBf16 : Dtype::kF16}) {
        const fs::path at = folder() / cat(family, tied ? "-tied-" : "-", dtype_name(dtype));
        const Model model = make_model(at, tiny_shape(family, tied), dtype);
        EXPECT_EQ(model.config.family, family);
        EXPECT_EQ(model.config.tied_embeddings, tied);
        EXPECT_EQ(model.config.dtype, dtype);
        EXPECT_EQ(model.embedding.weight.dtype, dtype);
        EXPECT_EQ(model.config.layers, 3);
        EXPECT_EQ(model.config.kv_heads, 1);
        EXPECT_EQ(model.config.head_dim, 8);
        EXPECT_EQ(model.config.qkv_bias, std::string(family) == "qwen2");
        EXPECT_EQ(model.config.qk_norm, std::string(family) == "qwen3");
      }
}

TEST_F(InitTest, SameSeedSameBytes) {
  const auto file = [&](uint64_t seed, int count) {
    set_threads(count);
    ModelShape shape = tiny_shape();
    shape.vocab_size = 30011;  // drawn in parts
    shape.hidden_size = 90;
    shape.layers = 1;
    make_model(folder(), shape, Dtype::kBf16, seed);
    set_threads(0);
    return bytes_of(folder() / "model.safetensors");
  };
  const std::string first = file(1, 1);
  EXPECT_TRUE(first == file(1, 2));
  EXPECT_FALSE(first == file(2, 1));
}

// Mean and variance of every drawn tensor against their own sampling deviations, five of them; no
// element is drawn twice, parts included.
TEST_F(InitTest, Weights) {
  ModelShape shape = tiny_shape("qwen2");
  shape.vocab_size = 30011;
  shape.hidden_size = 90;
  Json config = shape_config(shape);
  config.set("initializer_range", 0.05);
  config.set("pad_token_id", 20000);
  write_initial_model(folder(), config, "shape", Dtype::kF32, 5);
  const TensorStore store(folder());
  for (const auto& [name, t] : store.tensors()) {
    const auto* x = reinterpret_cast<const float*>(t.bytes.data());
    const size_t count = t.bytes.size() / sizeof(float);
    if (t.info.shape.size() == 1) {
      for (size_t i = 0; i < count; ++i)
        ASSERT_EQ(x[i], name.ends_with("bias") ? 0.0f : 1.0f) << name;
      continue;
    }
    const double n = static_cast<double>(count), variance = 0.05 * 0.05;
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; ++i) {
      sum += x[i];
      squares += static_cast<double>(x[i]) * x[i];
    }
    EXPECT_LT(std::fabs(sum / n), 5 * 0.05 / std::sqrt(n)) << name;
    EXPECT_LT(std::fabs(squares / n - variance),
              5 * variance * std::sqrt(2.0 / n) + 90 * variance / n)
        << name;
  }
  const auto* table =
      reinterpret_cast<const float*>(store.at("model.embed_tokens.weight").bytes.data());
  for (int64_t i = 0; i < 90; ++i) EXPECT_EQ(table[20000 * 90 + i], 0.0f);
  for (int64_t row = 1; row < 30011; ++row)
    ASSERT_NE(std::memcmp(table, table + row * 90, 16), 0) << row;
}

TEST_F(InitTest, ShapesThatAreNone) {
  const auto fault = [&](const ModelShape& shape) {
    return thrown_in(folder(), [&] {
      write_initial_model(folder(), shape_config(shape), "shape", Dtype::kF32, 1);
    });
  };
  EXPECT_EQ(fault({.heads = 6, .kv_heads = 4, .vocab_size = 8}),
            "64: --kv-heads=4 does not divide --heads=6");
  EXPECT_EQ(fault({.hidden_size = 100, .heads = 3, .vocab_size = 8}),
            "64: --heads=3 does not divide --hidden-size=100; change one or give --head-dim");
  EXPECT_EQ(fault({.family = "gpt2", .vocab_size = 8}).substr(0, 36),
            "69: shape: model family \"gpt2\" is no");
  Json config = shape_config(tiny_shape());
  config.set("quantization_config", Json::object({{"quant_method", "bitsandbytes"}}));
  EXPECT_EQ(
      thrown_in(folder(), [&] { write_initial_model(folder(), config, "c.json", Dtype::kF32, 1); })
          .substr(0, 34),
      "64: c.json: \"quantization_config\":");
}

std::string corpus() {
  std::string text;
  for (int i = 0; i < 400; ++i)
    text += cat("Person ", i, " lives in town number ", i * 7 % 31, " and keeps ", i % 5,
                " cats, d\xc3\xa9j\xc3\xa0 vu.\n");
  return text;
}

TEST_F(InitTest, TrainsSentencePiece) {
  const fs::path file = folder() / "corpus.txt";
  write_text_file(file, corpus());
  const SentencePieceTraining training{.corpus = {file.string()}, .vocab_size = 320, .seed = 1};
  const std::string model = train_sentencepiece(training);
  EXPECT_TRUE(model == train_sentencepiece(training));
  // The file names the number of threads; the vocabulary does not depend on it.
  SentencePieceTraining threads = training;
  threads.threads = 2;
  const SentencePieceFile one = parse_sentencepiece(model);
  const SentencePieceFile two = parse_sentencepiece(train_sentencepiece(threads));
  ASSERT_EQ(two.pieces.size(), one.pieces.size());
  for (size_t i = 0; i < one.pieces.size(); ++i) {
    EXPECT_EQ(two.pieces[i].text, one.pieces[i].text);
    EXPECT_EQ(two.pieces[i].score, one.pieces[i].score);
    EXPECT_EQ(two.pieces[i].type, one.pieces[i].type);
  }
  ASSERT_EQ(one.pieces.size(), 320u);
  EXPECT_EQ(one.pieces[0].text, "<unk>");
  EXPECT_EQ(one.pieces[1].text, "<s>");
  EXPECT_EQ(one.pieces[2].text, "</s>");
  EXPECT_EQ(one.pieces[3 + 255].text, "<0xFF>");
  EXPECT_FALSE(one.normalizes);
}

TEST_F(InitTest, CorpusFaults) {
  const auto fault = [&](const std::string& text, int64_t size) {
    const fs::path file = folder() / "corpus.txt";
    write_text_file(file, text);
    return thrown_in(folder(),
                     [&] { train_sentencepiece({.corpus = {file.string()}, .vocab_size = size}); });
  };
  EXPECT_EQ(fault("", 300), "65: @/corpus.txt: no text to train a vocabulary on");
  EXPECT_EQ(fault("\n\n", 300), "65: @/corpus.txt: no text to train a vocabulary on");
  EXPECT_EQ(fault("fine\nb\xff\n", 300),
            "65: @/corpus.txt:2: not UTF-8; convert the text (iconv -t UTF-8)");
  EXPECT_EQ(fault(corpus(), 100000).substr(0, 66),
            "65: @/corpus.txt: cannot train a vocabulary of 100000 pieces (Voca");
  EXPECT_EQ(fault(corpus(), 100).substr(0, 66),
            "65: @/corpus.txt: cannot train a vocabulary of 100 pieces (Vocabul");
  EXPECT_EQ(thrown_in(folder(),
                      [&] { train_sentencepiece({.corpus = {"/nowhere/x"}, .vocab_size = 300}); })
                .substr(0, 14),
            "66: /nowhere/x");
}

}  // namespace
}  // namespace nibble::test
