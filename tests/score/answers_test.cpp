// SPDX-License-Identifier: Apache-2.0
// METEOR as NLTK's, SQuAD, GSM8K, classes, correlations and perplexity against their references
// (golden/make_answers.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "io/json.h"
#include "run_metric.h"
#include "score/gsm8k.h"
#include "score/wordnet.h"
#include "support/scratch.h"

namespace nibble {
namespace {

ScoreExample example_of(const Json& item) {
  ScoreExample example{.hypothesis = item.at("hypothesis").as_string()};
  for (const Json& reference : item.at("references").as_array())
    example.references.push_back(reference.as_string());
  if (const Json* record = item.find("record")) example.record = record->dump();
  return example;
}

ScoreExample text(std::string hypothesis, std::vector<std::string> references) {
  return {.hypothesis = std::move(hypothesis), .references = std::move(references)};
}

// 40 terms of up to 100, each rounded: 1e-11 is above what rounding does.
void expect_scores(const Json& want, const std::vector<double>& got,
                   const std::vector<ScoreName>& names, const std::string& what) {
  for (const auto& [name, value] : want.as_object()) {
    const auto at = std::ranges::find(names, name, &ScoreName::name);
    ASSERT_NE(at, names.end()) << what << " has no " << name;
    EXPECT_NEAR(got[static_cast<size_t>(at - names.begin())], value.as_number(), 1e-11)
        << what << ' ' << name;
  }
}

TEST(Answers, ScoreAsTheirReferencesDo) {
  const Json golden = read_json_file(std::string(NIBBLE_TEST_DATA) + "/score/golden/answers.json");
  for (const Json& metric : golden.as_array()) {
    const std::string& spec = metric.at("spec").as_string();
    if (spec == "meteor-nltk" && !input_exists("/usr/share/wordnet/index.noun")) {
      std::cout << "SKIPPED: " << spec << ": wordnet-base is not installed\n";
      continue;
    }
    std::vector<ScoreExample> examples;
    for (const Json& item : metric.at("examples").as_array()) examples.push_back(example_of(item));
    const Measured got = measure(spec, examples);
    const std::vector<ScoreName> names = make_metric(spec)->scores();
    expect_scores(metric.at("corpus"), got.corpus, names, spec);
    for (size_t i = 0; i < examples.size(); ++i)
      expect_scores(metric.at("each").as_array()[i], got.each[i], names,
                    spec + ": " + examples[i].hypothesis);
  }
}

TEST(Answers, OfWordProblems) {
  EXPECT_EQ(gsm8k_strict_answer("so\n#### -1,234.5 apples #### 7"), "-1,234.5");
  EXPECT_EQ(gsm8k_strict_answer("####5"), "[invalid]");
  EXPECT_EQ(gsm8k_strict_answer("#### - #### 8"), "8");
  EXPECT_EQ(gsm8k_flexible_answer("2 and -3, then $4.50 a-5."), "-5.");
  EXPECT_EQ(gsm8k_flexible_answer("it is -7"), "-7");
  EXPECT_EQ(gsm8k_flexible_answer("none."), "[invalid]");
  EXPECT_EQ(gsm8k_comparable("Steps #### no #### $1,000."), "1000");
}

TEST(Answers, WithoutAnythingAreUndefinedOrNothing) {
  EXPECT_TRUE(std::isnan(measure("correlation", {text("1", {"2"}), text("1", {"3"})}).corpus[0]));
  EXPECT_EQ(measure("squad", {text("", {""})}).corpus[0], 100.0);
  EXPECT_EQ(measure("squad", {text("", {""})}).corpus[1], 0.0);
  EXPECT_EQ(measure("squad-v2", {text("", {})}).corpus[1], 100.0);
  EXPECT_EQ(measure("classification", {text("1", {"1"})}).corpus[4], 0.0);
  EXPECT_EQ(measure("coco-rouge-l", {text("", {"."})}).each[0][0], 1.0);
  EXPECT_EQ(measure("cider", {text("a b", {"a b"})}).corpus[0],
            0.0);  // log(1) weighs all by nothing
}

std::string fault_of(std::string_view spec, const ScoreExample& example) {
  try {
    measure(spec, {example});
  } catch (const Error& e) {
    return e.what();
  }
  return "none";
}

TEST(Answers, ThatAreNoneAreRefused) {
  EXPECT_EQ(fault_of("correlation", text("one", {"1"})), "the prediction is no number");
  EXPECT_EQ(fault_of("correlation", text("1", {"1", "2"})),
            "correlation takes one reference, found 2");
  EXPECT_EQ(fault_of("correlation", text("1", {"1e999"})), "the reference is no number");
  const auto record = [](const char* text) {
    return ScoreExample{.hypothesis = "", .references = {}, .record = std::string(text)};
  };
  EXPECT_EQ(fault_of("perplexity", record("{}")), "no \"logprobs\"");
  EXPECT_EQ(fault_of("perplexity", record(R"({"logprobs":[0.5]})")),
            "a log-probability is 0.5, above 0");
  EXPECT_EQ(fault_of("perplexity", record(R"({"logprobs":-3.0})")), "no \"tokens\"");
  EXPECT_NE(fault_of("meteor-nltk:wordnet=/nowhere", text("a", {"a"})).find("install wordnet-base"),
            std::string::npos);
}

TEST(Answers, PerplexityTakesTheFormsOfServers) {
  const auto perplexity = [](const char* text) {
    const ScoreExample example{.hypothesis = "", .references = {}, .record = std::string(text)};
    return measure("perplexity", {example}).corpus[0];
  };
  EXPECT_DOUBLE_EQ(perplexity(R"({"logprobs":[null,-1,-3]})"), std::exp(2.0));
  EXPECT_DOUBLE_EQ(perplexity(R"({"logprobs":{"token_logprobs":[null,-1,-3]}})"), std::exp(2.0));
  EXPECT_DOUBLE_EQ(perplexity(R"({"logprobs":{"content":[{"logprob":-1},{"logprob":-3}]}})"),
                   std::exp(2.0));
  EXPECT_DOUBLE_EQ(perplexity(R"({"logprobs":-4.0,"tokens":2})"), std::exp(2.0));
}

// A database of two sets: cat and kitty_cat; cat and guy.
fs::path small_wordnet(const test::ScratchFolder& scratch, const std::string& cat_sets) {
  for (const char* part : {"noun", "verb", "adj", "adv"})
    for (const char* kind : {"index.", "data."})
      write_text_file(scratch.path() / (std::string(kind) + part), "  1 a licence\n");
  for (const char* part : {"noun.exc", "verb.exc", "adj.exc", "adv.exc"})
    write_text_file(scratch.path() / part, "felines cat\n");
  write_text_file(scratch.path() / "index.noun",
                  "  1 a licence\ncat n 2 1 @ 2 0 " + cat_sets + "\nguy n 1 0 1 0 00000057\n");
  write_text_file(scratch.path() / "data.noun",
                  "  1 a licence\n00000014 05 n 02 cat 0 kitty_cat 0 000 | x\n"
                  "00000057 05 n 02 guy 0 Cat(p) 0 000 | x\n");
  return scratch.path();
}

TEST(WordNet, FindsTheSynonymsOfInflectedWords) {
  const test::ScratchFolder scratch;
  const WordNet wordnet(small_wordnet(scratch, "00000014 00000057"));
  const std::vector<std::string> all = {"cat", "guy", "Cat"};
  EXPECT_EQ(wordnet.synonyms("cat"), all);
  EXPECT_EQ(wordnet.synonyms("cats"), all);
  EXPECT_EQ(wordnet.synonyms("felines"), all);
  EXPECT_EQ(wordnet.synonyms("guys"), (std::vector<std::string>{"guy", "Cat"}));
  for (const char* none : {"", " ", "1", "ca", "catt", "dog", "zebra", "s", "es", "er"})
    EXPECT_TRUE(wordnet.synonyms(none).empty()) << none;
}

TEST(WordNet, NamesADamagedFile) {
  const auto fault = [](const std::string& sets) -> std::string {
    const test::ScratchFolder scratch;
    try {
      WordNet(small_wordnet(scratch, sets)).synonyms("cat");
    } catch (const DataError& e) {
      return std::string(e.what()).substr(scratch.path().string().size());
    }
    return "none";
  };
  const std::string remedy = "; is it a file of WordNet's database?";
  EXPECT_EQ(fault("00000014"), "/index.noun: a field is missing" + remedy);
  EXPECT_EQ(fault("00000014 99999999"), "/index.noun: offset 99999999 is beyond the data" + remedy);
  EXPECT_EQ(fault("00000014 00000015"), "/data.noun: no set at offset 15" + remedy);
  EXPECT_EQ(fault("00000014 x"), "/index.noun: \"x\" is no number" + remedy);
}

}  // namespace
}  // namespace nibble
