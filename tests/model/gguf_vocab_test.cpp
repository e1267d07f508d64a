// SPDX-License-Identifier: Apache-2.0
// Tokenizers out of GGUF metadata.
#include "model/gguf_vocab.h"

#include <gtest/gtest.h>
#include <sentencepiece_processor.h>

#include "model/pretokenizers.h"
#include "model/tokenizer_files.h"
#include "support/folder_test.h"
#include "support/gguf_builder.h"

namespace nibble {
namespace {

using test::thrown;

class GgufVocabTest : public test::FolderTest {
 protected:
  GgufVocab read(const GgufMetadata& meta, int64_t rows = 40) const {
    GgufWriter(path("v.gguf"), meta, {}).commit();
    return read_gguf_vocab(GgufFile(path("v.gguf")), rows);
  }
  std::string fault(const GgufMetadata& meta, int64_t rows = 40) const {
    return thrown([&] { read(meta, rows); });
  }
};

// Unknown, begin, end, the 256 bytes, and a little vocabulary scored as SentencePiece scores BPE.
struct Pieces {
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
  std::vector<float> scores = {0, 0, 0};
  std::vector<int32_t> types = {2, 3, 3};

  Pieces() {
    for (int b = 0; b < 256; ++b) {
      const char* hex = "0123456789ABCDEF";
      add(cat("<0x", hex[b / 16], hex[b % 16], ">"), 0.0f, 6);
    }
    float score = 0.0f;
    for (const char* t : {"\xe2\x96\x81t", "he", "\xe2\x96\x81the", "\xe2\x96\x81", "t", "h", "e"})
      add(t, score--, 1);
    add("<|user|>", 0.0f, 4);
  }
  void add(const std::string& token, float score, int32_t type) {
    tokens.push_back(token);
    scores.push_back(score);
    types.push_back(type);
  }
  GgufMetadata metadata() const {
    GgufMetadata m;
    m.string("tokenizer.ggml.model", "llama");
    m.strings("tokenizer.ggml.tokens", tokens);
    m.f32s("tokenizer.ggml.scores", scores);
    if (!types.empty()) m.i32s("tokenizer.ggml.token_type", types);
    m.u32("tokenizer.ggml.bos_token_id", 1);
    m.u32("tokenizer.ggml.eos_token_id", 2);
    m.u32("tokenizer.ggml.unknown_token_id", 0);
    m.u32("tokenizer.ggml.padding_token_id", UINT32_MAX);
    return m;
  }
};

TEST_F(GgufVocabTest, SentencePieceLibraryReadsWhatWeWrite) {
  const Pieces pieces;
  for (const bool with_types : {true, false}) {
    Pieces p = pieces;
    if (!with_types) {  // guessed from ids and text, user-defined ones cannot be
      p.types.clear();
      p.tokens.pop_back();
      p.scores.pop_back();
    }
    const GgufVocab vocab = read(p.metadata(), 300);
    EXPECT_TRUE(vocab.add_bos);
    EXPECT_FALSE(vocab.add_eos);
    EXPECT_FALSE(vocab.pad);
    write_tokenizer_files(vocab, folder());
    sentencepiece::SentencePieceProcessor sp;
    ASSERT_TRUE(sp.Load(path("tokenizer.model").string()).ok());
    EXPECT_EQ(sp.GetPieceSize(), static_cast<int>(p.tokens.size()));
    EXPECT_EQ(sp.unk_id(), 0);
    EXPECT_EQ(sp.bos_id(), 1);
    EXPECT_EQ(sp.eos_id(), 2);
    EXPECT_EQ(sp.pad_id(), -1);
    EXPECT_TRUE(sp.IsByte(3 + 10));
    EXPECT_TRUE(sp.IsControl(1));
    EXPECT_EQ(sp.GetScore(261), -2.0f);
    // A dummy prefix, merges by score, bytes for what has no piece, white space kept.
    EXPECT_EQ(sp.EncodeAsIds("the  he\n"), (std::vector<int>{261, 262, 262, 260, 3 + 10}));
    if (with_types) {
      EXPECT_EQ(sp.EncodeAsIds("<|user|>the"), (std::vector<int>{262, 266, 263, 260}));
    }
  }
  const Json config = read_json_file(path("tokenizer_config.json"));
  EXPECT_EQ(config.at("tokenizer_class").as_string(), "LlamaTokenizer");
  EXPECT_EQ(config.at("bos_token").as_string(), "<s>");
  EXPECT_TRUE(config.at("pad_token").is_null());
  EXPECT_TRUE(config.at("add_bos_token").as_bool());
}

TEST_F(GgufVocabTest, SentencePieceModelReadsBack) {
  const std::string long_text(300, 'x');  // its length takes two bytes
  const SentencePieceFile back = parse_sentencepiece(
      write_sentencepiece({.pieces = {{"<unk>", 0.0f, PieceType::kUnknown},
                                      {"a", -1.5f, PieceType::kNormal},
                                      {long_text, 0.0f, PieceType::kUserDefined}},
                           .add_dummy_prefix = false,
                           .unk = 0}));
  ASSERT_EQ(back.pieces.size(), 3u);
  EXPECT_EQ(back.pieces[0].type, PieceType::kUnknown);
  EXPECT_EQ(back.pieces[1].text, "a");
  EXPECT_EQ(back.pieces[1].score, -1.5f);
  EXPECT_EQ(back.pieces[2].text, long_text);
  EXPECT_EQ(back.model, SentencePieceFile::Model::kBpe);
  EXPECT_FALSE(back.add_dummy_prefix);
  EXPECT_FALSE(back.byte_fallback);
  EXPECT_FALSE(back.remove_extra_whitespaces);
  EXPECT_TRUE(back.escape_whitespaces);
  EXPECT_FALSE(back.normalizes);
}

TEST_F(GgufVocabTest, ByteLevelBpe) {
  GgufMetadata m;
  m.string("general.architecture", "qwen2");
  m.u32("qwen2.context_length", 512);
  test::add_tiny_bpe(m);
  const GgufVocab vocab = read(m);
  EXPECT_EQ(vocab.stops, (std::vector<int32_t>{0, 2}));
  EXPECT_FALSE(vocab.add_bos);
  write_tokenizer_files(vocab, folder());
  const Json t = read_json_file(path("tokenizer.json"));
  const Json& model = t.at("model");
  EXPECT_EQ(model.at("vocab").at("\xc4\xa0the").as_integer(), 33);
  EXPECT_EQ(model.at("vocab").at("<|start|>").as_integer(), 1);
  EXPECT_EQ(model.at("vocab").find("[PAD39]"), nullptr);
  EXPECT_EQ(model.at("merges").as_array()[2], Json::array({"\xc4\xa0", "the"}));
  EXPECT_EQ(t.at("normalizer").at("type").as_string(), "NFC");
  const Json::Array& added = t.at("added_tokens").as_array();
  ASSERT_EQ(added.size(), 4u);
  EXPECT_TRUE(added[0].at("special").as_bool());
  EXPECT_FALSE(added[3].at("special").as_bool());
  EXPECT_EQ(added[3].at("content").as_string(), "<tool>");
  const Json config = read_json_file(path("tokenizer_config.json"));
  EXPECT_EQ(config.at("chat_template").as_string(), "{{ messages[0].content }}");
  EXPECT_EQ(config.at("model_max_length").as_integer(), 512);
  EXPECT_EQ(config.at("eos_token").as_string(), "<|end|>");
}

TEST_F(GgufVocabTest, PretokenizersByName) {
  for (const char* name : {"llama-bpe", "llama3", "qwen2", "smollm", "gpt-2", "tekken"}) {
    GgufMetadata m;
    test::add_tiny_bpe(m, name);
    const GgufVocab vocab = read(m);
    const bool llama3 = vocab.pre.starts_with("llama") || vocab.pre == "tekken";
    EXPECT_EQ(vocab.add_bos, llama3) << name;
    write_tokenizer_files(vocab, folder());
    const Json t = read_json_file(path("tokenizer.json"));
    EXPECT_EQ(t.at("model").at("ignore_merges").as_bool(), llama3) << name;
    EXPECT_EQ(t.at("post_processor").at("type").as_string(),
              llama3 ? "TemplateProcessing" : "ByteLevel");
  }
  GgufMetadata unknown, missing;
  test::add_tiny_bpe(unknown, "deepseek-v3");
  test::add_tiny_bpe(missing, "");
  EXPECT_NE(fault(unknown).find("69: "), std::string::npos);
  EXPECT_NE(fault(unknown).find("pre-tokenizer \"deepseek-v3\" (of those known: llama-bpe,"),
            std::string::npos);
  EXPECT_NE(fault(missing).find("65: "), std::string::npos);
  EXPECT_FALSE(find_pretokenizer("llama3 llama-v3"));
}

TEST_F(GgufVocabTest, HostileMetadata) {
  const auto spm = [](const std::function<void(Pieces&)>& change) {
    Pieces p;
    change(p);
    return p.metadata();
  };
  const auto bpe = [](const std::function<void(GgufMetadata&)>& change) {
    GgufMetadata m;
    change(m);
    return m;
  };
  const struct {
    const char* says;
    GgufMetadata meta;
  } cases[] = {
      {"65: *no \"tokenizer.ggml.model\"", {}},
      {"69: *the tokenizer \"t5\"", bpe([](auto& m) { m.string("tokenizer.ggml.model", "t5"); })},
      {"65: *no \"tokenizer.ggml.tokens\"",
       bpe([](auto& m) { m.string("tokenizer.ggml.model", "llama"); })},
      {"65: *comes twice", spm([](auto& p) { p.tokens[270 - 5] = "he"; })},
      {"65: *is not UTF-8", spm([](auto& p) { p.tokens[262] = "\xff"; })},
      {"65: *no piece of text", spm([](auto& p) { p.tokens[262] = ""; })},
      {"65: *no list of 267 items", spm([](auto& p) { p.scores.pop_back(); })},
      {"65: *no list of 267 items", spm([](auto& p) { p.types.push_back(1); })},
      {"65: *unknown type 7", spm([](auto& p) { p.types[5] = 7; })},
      {"65: *0 tokens are of type unknown", spm([](auto& p) { p.types[0] = 1; })},
      {"65: *255 tokens are of type byte", spm([](auto& p) { p.types[9] = 1; })},
      {"65: *infinity or NaN",
       spm([](auto& p) { p.scores[9] = std::numeric_limits<float>::infinity(); })},
      {"65: *\"tokenizer.ggml.eot_token_id\" is 267 of 267 tokens",
       [&] {
         GgufMetadata m = spm([](auto&) {});
         m.u32("tokenizer.ggml.eot_token_id", 267);
         return m;
       }()},
      {"65: *no \"tokenizer.ggml.scores\"",
       [] {
         GgufMetadata m;
         m.string("tokenizer.ggml.model", "llama");
         m.strings("tokenizer.ggml.tokens", std::vector<std::string>{"a"});
         return m;
       }()},
      {"65: *no \"tokenizer.ggml.merges\"",
       [] {
         GgufMetadata m;
         m.string("tokenizer.ggml.model", "gpt2");
         m.string("tokenizer.ggml.pre", "gpt-2");
         m.strings("tokenizer.ggml.tokens", std::vector<std::string>{"a"});
         return m;
       }()},
      {"65: *merge 0 (\"ab\") is no pair",
       [] {
         GgufMetadata m;
         m.string("tokenizer.ggml.model", "gpt2");
         m.string("tokenizer.ggml.pre", "gpt-2");
         m.strings("tokenizer.ggml.tokens", std::vector<std::string>{"a"});
         m.strings("tokenizer.ggml.merges", std::vector<std::string>{"ab"});
         return m;
       }()},
  };
  for (const auto& c : cases) {
    const std::string text = fault(c.meta, 400), says = c.says;
    EXPECT_EQ(text.substr(0, 4), says.substr(0, 4)) << text;
    EXPECT_NE(text.find(says.substr(5)), std::string::npos) << text << "\n wanted " << says;
  }
  EXPECT_NE(fault(Pieces().metadata(), 266).find("267 tokens for an embedding of 266 rows"),
            std::string::npos);
}

}  // namespace
}  // namespace nibble
