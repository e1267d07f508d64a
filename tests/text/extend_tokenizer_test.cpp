// SPDX-License-Identifier: Apache-2.0
#include "text/extend_tokenizer.h"

#include "io/json.h"
#include "support/folder_test.h"
#include "text/sentencepiece_train.h"

namespace nibble::test {
namespace {

class ExtendTokenizerTest : public FolderTest {
 protected:
  // A byte-level BPE over a few letters, and a SentencePiece model.
  void make(const std::string& kind) {
    fs::create_directories(path("base"));
    if (kind == "json") {
      fs::copy_file(fs::path(NIBBLE_TEST_DATA) / "support/tiny-tokenizer/tokenizer.json",
                    path("base") / "tokenizer.json");
      fs::copy_file(fs::path(NIBBLE_TEST_DATA) / "support/tiny-tokenizer/tokenizer_config.json",
                    path("base") / "tokenizer_config.json");
      return;
    }
    std::string text;
    for (int i = 0; i < 200; ++i) text += cat("people live in towns, number ", i, "\n");
    write_text_file(path("corpus"), text);
    write_text_file(path("base") / "tokenizer.model",
                    train_sentencepiece({.corpus = {path("corpus").string()}, .vocab_size = 290}));
  }

  std::string list(const std::string& text) {
    write_text_file(path("tokens"), text);
    return path("tokens").string();
  }
};

TEST_F(ExtendTokenizerTest, NumbersAndFindsThem) {
  for (const char* kind : {"json", "model"}) {
    fs::remove_all(path("base"));
    fs::remove_all(path("out"));
    make(kind);
    const auto base = load_tokenizer(path("base"));
    const int32_t size = base->vocab_size();
    ExtendedTokenizer extended(
        path("base"), read_token_list(list("<tool>\n\nnew word\r\n"
                                           "{\"content\": \"<eot>\", \"special\": true}\n")));
    ASSERT_EQ(extended.added().size(), 3u);
    EXPECT_EQ(extended.tokenizer().vocab_size(), size + 3);
    const std::string text = "in<tool>a new word<eot>";
    const auto ids = extended.tokenizer().encode(text);
    for (int32_t i = 0; i < 3; ++i) {
      EXPECT_EQ(std::count(ids.begin(), ids.end(), size + i), 1) << kind << " " << i;
      EXPECT_EQ(extended.tokenizer().is_special(size + i), i == 2);
    }
    fs::create_directories(path("out"));
    extended.write(path("out"));
    const auto again = load_tokenizer(path("out"));
    EXPECT_EQ(again->encode(text), ids);
    EXPECT_EQ(again->vocab_size(), size + 3);
    EXPECT_EQ(again->fingerprint, extended.tokenizer().fingerprint);
    EXPECT_NE(again->fingerprint, base->fingerprint);
    // Once more adds nothing.
    const ExtendedTokenizer twice(path("out"), read_token_list(path("tokens")));
    EXPECT_TRUE(twice.added().empty());
    EXPECT_EQ(twice.tokenizer().fingerprint, again->fingerprint);
  }
}

TEST_F(ExtendTokenizerTest, KnownPiecesKeepTheirIds) {
  make("model");
  const auto base = load_tokenizer(path("base"));
  std::string piece;
  int32_t id = 259;  // the first that is neither special nor a byte
  while (piece.size() < 2 || piece.find("\xe2") == 0) piece = base->token_text(id++);
  const ExtendedTokenizer extended(path("base"), read_token_list(list(piece)));
  ASSERT_EQ(extended.added().size(), 1u);
  EXPECT_EQ(extended.added()[0].id, id - 1);
  EXPECT_EQ(extended.tokenizer().vocab_size(), base->vocab_size());
  const ExtendedTokenizer special(path("base"), read_token_list(list("</s>")));
  EXPECT_TRUE(special.added().empty());
}

TEST_F(ExtendTokenizerTest, BadLists) {
  const auto fault = [&](const std::string& text) {
    const std::string full = thrown([&] { read_token_list(list(text)); });
    const size_t at = full.find(folder().string());
    return at == std::string::npos
               ? full
               : cat(full.substr(0, at), full.substr(at + folder().string().size()));
  };
  EXPECT_EQ(fault(""), "65: /tokens: no tokens; write one a line");
  EXPECT_EQ(fault("\n\n"), "65: /tokens: no tokens; write one a line");
  EXPECT_EQ(fault("a\nb\na\n"), "65: /tokens:3: \"a\" is listed twice");
  EXPECT_EQ(fault("a\n{\"content\": 3}\n"),
            "65: /tokens:2: expected a string, found an integer; see \"added_tokens\" of a "
            "tokenizer.json");
  EXPECT_EQ(fault("{\"special\": true}\n"),
            "65: /tokens:1: no \"content\"; see \"added_tokens\" of a tokenizer.json");
  EXPECT_EQ(fault("{\"content\"").substr(0, 13), "65: /tokens:1");
  EXPECT_EQ(fault("{\"content\": \"\"}"), "65: /tokens:1: a token is 1 to 1024 bytes of UTF-8");
  EXPECT_EQ(fault(std::string(1025, 'x')), "65: /tokens:1: a token is 1 to 1024 bytes of UTF-8");
  EXPECT_EQ(fault("\xff"), "65: /tokens:1: a token is 1 to 1024 bytes of UTF-8");
  EXPECT_EQ(thrown([&] { read_token_list("/nowhere/tokens"); }).substr(0, 4), "66: ");
}

}  // namespace
}  // namespace nibble::test
