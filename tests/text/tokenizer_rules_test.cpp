// SPDX-License-Identifier: Apache-2.0
// What files beside a tokenizer say, what is refused, and texts that go on from others.
#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "base/error.h"
#include "io/json.h"
#include "support/scratch.h"
#include "text/pattern.h"
#include "text/tokenizer.h"

namespace nibble {
namespace {

const fs::path kGolden = fs::path(NIBBLE_TEST_DATA) / "text/golden";

using Ids = std::vector<int32_t>;

Json golden_json(const std::string& name) {
  return read_json_file(kGolden / (name + ".json"));
}

// A model folder with one of the golden tokenizers.
class Folder {
 public:
  explicit Folder(const Json& tokenizer) { put("tokenizer.json", tokenizer.dump()); }
  explicit Folder(const char* golden) {
    const bool json = fs::path(golden).extension() == ".json";
    fs::copy_file(kGolden / golden, scratch_ / (json ? "tokenizer.json" : "tokenizer.model"));
  }
  Folder& put(const std::string& name, std::string_view text) {
    std::ofstream(scratch_ / name) << text;
    return *this;
  }
  std::unique_ptr<Tokenizer> load() const { return load_tokenizer(scratch_.path()); }
  fs::path path() const { return scratch_.path(); }

 private:
  test::ScratchFolder scratch_;
};

template <class Fault>
void expect_fault(const Json& tokenizer, const std::string& part) {
  const Folder folder(tokenizer);
  try {
    folder.load();
    ADD_FAILURE() << "loaded, though " << part;
  } catch (const Fault& e) {
    const std::string text = e.what();
    EXPECT_NE(text.find(part), std::string::npos) << text;
    EXPECT_TRUE(text.starts_with(folder.path().string())) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
  }
}

TEST(TokenizerRules, UnsupportedIsRefusedByName) {
  struct Case {
    const char *base, *where, *value, *part;
  };
  const Case cases[] = {
      {"gpt2", "model.type", R"("Unigram")", "model \"Unigram\""},
      {"gpt2", "model.dropout", "0.1", "dropout"},
      {"gpt2", "model.end_of_word_suffix", R"("</w>")", "end_of_word_suffix"},
      {"gpt2", "model.continuing_subword_prefix", R"("##")", "continuing_subword_prefix"},
      {"gpt2", "model.byte_fallback", "true", "byte_fallback"},
      {"gpt2", "model.new_rule", "1", "new_rule"},
      {"gpt2", "new_part", "{}", "new_part"},
      {"gpt2", "normalizer", R"({"type":"Lowercase"})", "normalizer \"Lowercase\""},
      {"gpt2", "normalizer", R"({"type":"Sequence","normalizers":[{"type":"NFKC"}]})", "\"NFKC\""},
      {"gpt2", "pre_tokenizer", R"({"type":"Whitespace"})", "pre_tokenizer \"Whitespace\""},
      {"gpt2", "pre_tokenizer",
       R"({"type":"Sequence","pretokenizers":[{"type":"ByteLevel"},{"type":"Digits"}]})",
       "after ByteLevel"},
      {"gpt2", "pre_tokenizer",
       R"({"type":"Split","pattern":{"Regex":"\\bx"},"behavior":"Isolated","invert":false})",
       "\"\\b\""},
      {"gpt2", "pre_tokenizer",
       R"({"type":"Split","pattern":{"Regex":"x"},"behavior":"Sideways","invert":false})",
       "\"Sideways\""},
      {"gpt2", "pre_tokenizer",
       R"({"type":"Metaspace","replacement":"_","prepend_scheme":"twice"})", "\"twice\""},
      {"gpt2", "decoder", R"({"type":"WordPiece"})", "decoder \"WordPiece\""},
      {"gpt2", "post_processor", R"({"type":"Odd"})", "post_processor \"Odd\""},
      {"pieces-llama", "post_processor.single",
       R"([{"SpecialToken":{"id":"<s>","type_id":0}},{"SpecialToken":{"id":"<s>","type_id":0}},)"
       R"({"Sequence":{"id":"A","type_id":0}}])",
       "several tokens"},
  };
  for (const Case& c : cases) {
    Json document = golden_json(c.base);
    const std::string where = c.where;
    const size_t dot = where.find('.');
    Json* parent = dot == std::string::npos ? &document : document.find(where.substr(0, dot));
    parent->set(dot == std::string::npos ? where : where.substr(dot + 1), parse_json(c.value, "c"));
    expect_fault<UnavailableError>(document, c.part);
  }
}

TEST(TokenizerRules, DamageIsNamed) {
  const auto with = [](const std::string& base, auto change) {
    Json document = golden_json(base);
    change(document);
    return document;
  };
  using J = Json;
  expect_fault<DataError>(with("gpt2", [](J& d) { d.erase("model"); }), "no \"model\"");
  expect_fault<DataError>(with("gpt2", [](J& d) { d.find("model")->erase("merges"); }), "merges");
  expect_fault<DataError>(
      with("gpt2", [](J& d) { d.find("model")->find("vocab")->set("x y", -5); }), "id -5");
  expect_fault<DataError>(
      with("gpt2", [](J& d) { d.find("model")->find("vocab")->set("xyz", int64_t{1} << 40); }),
      "xyz");
  expect_fault<DataError>(with("gpt2", [](J& d) { d.find("model")->find("vocab")->set("xyz", 3); }),
                          "same id");
  const auto merge = [&](J value) {
    return with("gpt2",
                [&](J& d) { d.find("model")->find("merges")->as_array().push_back(value); });
  };
  expect_fault<DataError>(merge("one"), "not two tokens");
  expect_fault<DataError>(merge("a b c"), "not two tokens");
  expect_fault<DataError>(merge(J::array({"a"})), "not two tokens");
  expect_fault<DataError>(merge("q absent"), "\"absent\" is no token");
  expect_fault<DataError>(merge("q z"), "\"qz\" is no token");
  const auto added = [&](const char* text, int id) {
    return with("gpt2", [&](J& d) {
      d.find("added_tokens")->as_array().push_back(J::object({{"id", id}, {"content", text}}));
    });
  };
  expect_fault<DataError>(added("a", 3000), "has the id 3000, but");
  expect_fault<DataError>(added("fresh", 3), "is both");
  expect_fault<DataError>(added("fresh", -1), "-1");
  expect_fault<DataError>(with("pieces-llama",
                               [](J& d) {
                                 d.find("post_processor")
                                     ->find("special_tokens")
                                     ->find("<s>")
                                     ->set("ids", J::array({99999}));
                               }),
                          "99999");
}

TEST(TokenizerRules, FilesThatAreNoTokenizer) {
  test::ScratchFolder scratch;
  EXPECT_THROW(load_tokenizer(scratch.path()), NoInputError);
  EXPECT_THROW(load_tokenizer(scratch / "absent.json"), NoInputError);
  const auto load = [&](std::string_view bytes) {
    std::ofstream(scratch / "tokenizer.model") << bytes;
    return load_tokenizer(scratch.path());
  };
  EXPECT_THROW(load(""), DataError);
  EXPECT_THROW(load("not a model"), DataError);
  EXPECT_THROW(load("IQ== 0\nIg== 1\n"), UnavailableError);
  const std::string model = read_text_file(kGolden / "pieces.model");
  EXPECT_EQ(load(model)->vocab_size(), 600);
  // Every prefix, and every byte changed, either loads or fails as it should.
  size_t refused = 0;
  for (size_t size = 0; size < model.size(); size += 1 + size / 40) {
    try {
      load(std::string_view(model).substr(0, size));
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 100u);
  for (size_t at = 0; at < model.size(); at += 97) {
    std::string changed = model;
    changed[at] = static_cast<char>(changed[at] ^ 0x55);
    try {
      load(changed)->encode("the miller sells <0x0A> \xF0\x9F\x98\x80");
    } catch (const Error& e) {
      EXPECT_TRUE(std::string_view(e.what()).starts_with(scratch.path().string())) << e.what();
    }
  }
}

TEST(TokenizerRules, SpecialTokensOfTheFolder) {
  Folder folder("gpt2.json");
  EXPECT_FALSE(folder.load()->eos);
  // As text, as an object, and the length that Python writes for "no limit".
  folder.put("tokenizer_config.json",
             R"({"eos_token":"<|endoftext|>","bos_token":{"content":"<|endoftext|>"},)"
             R"("pad_token":null,"unk_token":"<absent>","add_bos_token":true,)"
             R"("chat_template":[{"name":"tool_use","template":"T"},)"
             R"({"name":"default","template":"D"}],)"
             R"("model_max_length":1000000000000000019884624838656})");
  const auto t = folder.load();
  EXPECT_EQ(t->eos, 500);
  EXPECT_EQ(t->bos, 500);
  EXPECT_FALSE(t->pad);
  EXPECT_FALSE(t->unk);
  EXPECT_TRUE(t->add_bos);
  EXPECT_FALSE(t->add_eos);
  EXPECT_EQ(t->chat_template, "D");
  EXPECT_EQ(t->tool_chat_template, "T");
  folder.put("chat_template.jinja", "own file");
  EXPECT_EQ(folder.load()->chat_template, "own file");
  folder.put("tokenizer_config.json", R"({"eos_token":"<|endoftext|>"})");
  EXPECT_EQ(folder.load()->tool_chat_template, "");
}

TEST(TokenizerRules, IdsOfTheGenerationConfig) {
  Folder folder("gpt2.json");
  folder.put("generation_config.json", R"({"eos_token_id":[500,7],"pad_token_id":-1})");
  folder.put("config.json", R"({"eos_token_id":9,"bos_token_id":3})");
  const auto t = folder.load();
  EXPECT_EQ(t->eos, 500);
  EXPECT_EQ(t->bos, 3);
  EXPECT_FALSE(t->pad);
}

TEST(TokenizerRules, TokensOnlyTheConfigurationHas) {
  Folder folder("pieces-llama.json");
  folder.put("tokenizer_config.json",
             R"({"added_tokens_decoder":{"700":{"content":"<extra>","special":true}},)"
             R"("eos_token":"<extra>","additional_special_tokens":["river"]})");
  const auto t = folder.load();
  EXPECT_EQ(t->encode("<extra>"), Ids{700});
  EXPECT_EQ(t->eos, 700);
  EXPECT_TRUE(t->is_special(700));
  Folder model("pieces.model");
  model.put("added_tokens.json", R"({"<extra>":600})");
  EXPECT_EQ(model.load()->encode("<extra>"), Ids{600});
  EXPECT_EQ(model.load()->vocab_size(), 601);
}

TEST(TokenizerRules, BosAndEos) {
  EXPECT_TRUE(Folder("pieces-llama.json").load()->add_bos);
  EXPECT_FALSE(Folder("pieces-llama.json").load()->add_eos);
  EXPECT_TRUE(Folder("llama3.json").load()->add_bos);
  EXPECT_FALSE(Folder("gpt2.json").load()->add_bos);
  // A .model has the rule of transformers' LlamaTokenizer: bos, unless told otherwise.
  Folder model("pieces.model");
  EXPECT_TRUE(model.load()->add_bos);
  EXPECT_EQ(model.load()->bos, 1);
  model.put("tokenizer_config.json", R"({"add_bos_token":false,"add_eos_token":true})");
  EXPECT_FALSE(model.load()->add_bos);
  EXPECT_TRUE(model.load()->add_eos);
  // What the rule adds must be what is called bos.
  Folder other("pieces-llama.json");
  other.put("tokenizer_config.json", R"({"bos_token":"</s>"})");
  EXPECT_THROW(other.load(), UnavailableError);
  Json roberta = golden_json("gpt2");
  roberta.set("post_processor",
              parse_json(R"({"type":"RobertaProcessing","cls":["<|endoftext|>",500],)"
                         R"("sep":["<|endoftext|>",500]})",
                         "r"));
  const auto t = Folder(roberta).load();
  EXPECT_TRUE(t->add_bos && t->add_eos);
  EXPECT_EQ(t->eos, 500);
}

TEST(TokenizerRules, FingerprintIsOfWhatDecidesIds) {
  const Json base = golden_json("llama3");
  const std::string print = Folder(base).load()->fingerprint;
  EXPECT_EQ(print.size(), 64u);
  Folder same(base);
  same.put("tokenizer.json", base.dump(2)).put("generation_config.json", R"({"eos_token_id":3})");
  same.put("tokenizer_config.json", R"({"chat_template":"x","padding_side":"left"})");
  EXPECT_EQ(same.load()->fingerprint, print);
  const auto differs = [&](auto change) {
    Json document = base;
    change(document);
    EXPECT_NE(Folder(document).load()->fingerprint, print);
  };
  differs([](Json& d) { d.find("model")->find("merges")->as_array().pop_back(); });
  differs([](Json& d) { d.find("model")->set("ignore_merges", false); });
  differs([](Json& d) { d.set("normalizer", Json::object({{"type", "NFC"}})); });
  differs([](Json& d) { d.set("post_processor", nullptr); });
  differs([](Json& d) { d.find("added_tokens")->as_array()[1].set("rstrip", true); });
  EXPECT_NE(Folder("pieces.model").load()->fingerprint,
            Folder("pieces.model")
                .put("tokenizer_config.json", R"({"legacy":false})")
                .load()
                ->fingerprint);
}

TEST(TokenizerRules, PrefixSpaceOfTextsThatGoOn) {
  const std::string space = "\xE2\x96\x81";
  for (const char* name : {"pieces-llama.json", "pieces-first.json", "pieces.model"}) {
    const auto t = Folder(name).load();
    const auto text_of = [&](const Ids& ids) {
      std::string out;
      for (const int32_t id : ids) out += t->token_text(id);
      return out;
    };
    Ids start, inside, after;
    EXPECT_EQ(t->encode_at(TextPlace::kStart, "river", SpecialText::kParse, start),
              TextPlace::kAfterText);
    t->encode_at(TextPlace::kAfterText, "river", SpecialText::kParse, inside);
    EXPECT_EQ(t->encode_at(TextPlace::kAfterToken, "river</s>", SpecialText::kParse, after),
              TextPlace::kAfterToken);
    EXPECT_EQ(text_of(start), space + "river") << name;
    EXPECT_EQ(text_of(inside), "river") << name;
    const bool first_only = std::string(name) == "pieces-first.json";
    EXPECT_EQ(text_of(after), (first_only ? "" : space) + "river</s>") << name;
    Ids none;
    EXPECT_EQ(t->encode_at(TextPlace::kStart, "", SpecialText::kParse, none), TextPlace::kStart);
    EXPECT_TRUE(none.empty());
  }
}

TEST(TokenizerRules, TextInPartsIsTextInWholeAtSpecialTokens) {
  const std::string head = "x <|eot|>", tail = "\n\nthe river", whole = head + tail;
  for (const char* name : {"llama3.json", "qwen.json", "pieces-first.json"}) {
    const auto t = Folder(name).load();
    Ids parts;
    const TextPlace place = t->encode_at(TextPlace::kStart, head, SpecialText::kParse, parts);
    t->encode_at(place, tail, SpecialText::kParse, parts);
    EXPECT_EQ(parts, t->encode(whole)) << name;
  }
}

TEST(TokenizerRules, PartsOfCharactersDecodeExactly) {
  for (const char* name : {"gpt2.json", "pieces-llama.json", "pieces.model"}) {
    const auto t = Folder(name).load();
    const std::string text = "x \xE2\x82\xAC\xF0\x9F\x98\x80\xE6\xBC\xA2 y";
    const Ids ids = t->encode(text);
    std::string joined;
    Utf8Stream stream;
    for (size_t i = 0; i < ids.size(); ++i) {
      std::string bytes;
      t->append_token_bytes(ids[i], bytes);
      joined += stream.push(bytes);
    }
    EXPECT_EQ(joined + stream.flush(), std::string(*name == 'g' ? "" : " ") + text) << name;
    EXPECT_EQ(t->decode(ids.data(), ids.size(), false), text) << name;
  }
}

TEST(TokenizerRules, BadUtf8IsReadAsReplacement) {
  for (const char* name : {"gpt2.json", "qwen.json", "pieces-llama.json", "pieces.model"}) {
    const auto t = Folder(name).load();
    EXPECT_EQ(t->encode("a\xFFz"), t->encode("a\xEF\xBF\xBDz")) << name;
    EXPECT_EQ(t->encode("\xE2\x82"), t->encode("\xEF\xBF\xBD")) << name;
    EXPECT_EQ(t->encode(std::string_view("\xED\xA0\x80\0\xC0", 5)).empty(), false) << name;
  }
}

TEST(TokenizerRules, ThreadsAgree) {
  const auto t = Folder("llama3.json").load();
  const auto u = Folder("pieces.model").load();
  std::string text;
  for (int i = 0; i < 2000; ++i) text += cat("word ", i % 37, " and the river ", i % 11, "\n");
  const Ids want_t = t->encode(text), want_u = u->encode(text);
  std::vector<std::thread> threads;
  for (int k = 0; k < 4; ++k)
    threads.emplace_back([&] {
      for (int i = 0; i < 3; ++i) {
        EXPECT_TRUE(t->encode(text) == want_t);
        EXPECT_TRUE(u->encode(text) == want_u);
      }
    });
  for (std::thread& thread : threads) thread.join();
}

TEST(Pattern, ClassesAreThoseOfUnicode16) {
  const auto matches = [](const char* pattern, std::string_view text) {
    const auto m = Pattern(pattern).find(text, 0);
    return m && m->begin == 0 && m->end == text.size();
  };
  EXPECT_TRUE(matches("\\p{L}", "\xF0\xAE\xAF\xB0"));  // U+2EBF0, of 15.1
  EXPECT_TRUE(matches("[^\\s\\p{N}]", "\xF0\xAE\xAF\xB0"));
  EXPECT_FALSE(matches("[^\\s\\p{L}]", "\xF0\xAE\xAF\xB0"));
  EXPECT_TRUE(matches("\\p{N}", "\xF0\x90\xB5\x80"));  // U+10D40, of 16
  EXPECT_FALSE(matches("\\s", "\xE1\xA0\x8E"));        // U+180E is no space
  EXPECT_TRUE(matches("\\S", "\xE1\xA0\x8E"));
  EXPECT_TRUE(matches("\\s+", "\xC2\x85\xE3\x80\x80"));
  EXPECT_TRUE(matches("(?i:'s)", "'\xC5\xBF"));  // long s
  EXPECT_TRUE(matches(".{2}", "\r\xE2\x80\xA8"));
  EXPECT_FALSE(matches(".", "\n"));
}

TEST(Pattern, OtherConstructsAreRefused) {
  for (const char* pattern :
       {"\\w", "\\h", "^x", "x$", "[a[b]]", "[a&&b]", "[\\S]", "[\\P{L}]", "(?<n>x)", "x{2}+",
        "x{,2}", "\\p{Greek}", "\\1", "[[:alpha:]]", "(?#x)", "\\K", "\\C"})
    EXPECT_THROW(Pattern p(pattern), UnavailableError) << pattern;
  for (const char* pattern : {"(x", "x)", "*", "[b-a]", "[x", "\\", "\\p{L", "x{2"})
    EXPECT_THROW(Pattern p(pattern), DataError) << pattern;
}

TEST(Pattern, RunawayMatchIsAnError) {
  const Pattern p("(?:x+x+)+y");
  EXPECT_THROW(p.find(std::string(5000, 'x') + "zy", 0), DataError);
}

}  // namespace
}  // namespace nibble
