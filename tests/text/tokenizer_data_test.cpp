// SPDX-License-Identifier: Apache-2.0
// Tokenizers of real models: the golden cases, and texts through and back. Needs NIBBLE_DATA.
#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>

#include "text/tokenizer.h"

namespace nibble {
namespace {

class TokenizerData : public testing::Test {
 protected:
  void SetUp() override {
    const char* root = std::getenv("NIBBLE_DATA");
    if (root == nullptr) GTEST_SKIP() << "NIBBLE_DATA is not set: no real tokenizer checked";
    root_ = root;
  }
  std::unique_ptr<Tokenizer> load(const std::string& name) const {
    return load_tokenizer(root_ / "tokenizers" / name);
  }

  // Texts end at separator lines; a line of ids for each.
  void check_golden(const std::string& tokenizer, const std::string& golden) const {
    const auto t = load(tokenizer);
    const fs::path stem = root_ / "tokenizers/golden" / ("ggml-vocab-" + golden + ".gguf");
    const std::string input = read_text_file(stem.string() + ".inp");
    std::istringstream output(read_text_file(stem.string() + ".out"));
    const std::string separator = "\n__ggml_vocab_test__\n";
    size_t cases = 0, start = 0;
    for (std::string line; std::getline(output, line); ++cases) {
      std::istringstream numbers(line);
      std::vector<int32_t> want;
      for (int32_t id; numbers >> id;) want.push_back(id);
      const size_t end = input.find(separator, start);
      ASSERT_NE(end, std::string::npos);
      const std::string text = input.substr(start, end - start);
      EXPECT_EQ(t->encode(text), want) << tokenizer << " on \"" << text << '"';
      start = end + separator.size();
    }
    EXPECT_EQ(cases, 46u);
    EXPECT_EQ(start, input.size());
  }

  fs::path root_;
};

TEST_F(TokenizerData, GoldenGpt2) {
  check_golden("gpt2", "gpt-2");
}
TEST_F(TokenizerData, GoldenLlama3) {
  check_golden("llama3", "llama-bpe");
}
TEST_F(TokenizerData, GoldenQwen) {
  check_golden("qwen3", "qwen2");
}
TEST_F(TokenizerData, GoldenLlama2) {
  check_golden("llama2", "llama-spm");
  check_golden("llama2/tokenizer.json", "llama-spm");
}
TEST_F(TokenizerData, GoldenLlama2SentencePiece) {
  check_golden("llama2/tokenizer.model", "llama-spm");
  check_golden("llama2/tokenizer.model", "phi-3");
}

TEST_F(TokenizerData, TextsComeBack) {
  for (const char* name : {"gpt2", "llama2", "llama3", "qwen3", "smollm2", "llama2/tokenizer.model",
                           "mistral/mistral_instruct_tokenizer_240323.model.v3"}) {
    const auto t = load(name);
    for (const char* file : {"tinyshakespeare.txt", "tinystories_sample_2M.txt"}) {
      const std::string text = read_text_file(root_ / "text" / file);
      const std::vector<int32_t> ids = t->encode(text, SpecialText::kLiteral);
      EXPECT_TRUE(t->decode(ids.data(), ids.size(), false) == text) << name << " on " << file;
    }
  }
}

TEST_F(TokenizerData, SpecialTokens) {
  const auto llama3 = load("llama3");
  EXPECT_EQ(llama3->bos, 128000);
  EXPECT_EQ(llama3->eos, 128001);
  EXPECT_EQ(llama3->vocab_size(), 128256);
  EXPECT_FALSE(llama3->chat_template.empty());
  EXPECT_TRUE(llama3->is_special(128009));
  const auto llama2 = load("llama2");
  EXPECT_TRUE(llama2->add_bos);
  EXPECT_EQ(llama2->bos, 1);
  const auto qwen = load("qwen3");
  EXPECT_EQ(qwen->eos, 151645);
  EXPECT_EQ(qwen->pad, 151643);
  EXPECT_FALSE(qwen->bos);
  EXPECT_FALSE(qwen->is_special(*qwen->token_id("</think>")));
  EXPECT_EQ(qwen->encode("<|im_end|>"), std::vector<int32_t>{151645});
  EXPECT_GT(qwen->encode("<|im_end|>", SpecialText::kLiteral).size(), 1u);
}

}  // namespace
}  // namespace nibble
