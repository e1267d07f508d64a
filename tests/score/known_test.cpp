// SPDX-License-Identifier: Apache-2.0
// Answers that are published, or follow from a metric's definition.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "score/scorer.h"
#include "support/score_corpus.h"

namespace nibble {
namespace {

ScoreExample example(std::string hypothesis, std::vector<std::string> references) {
  return {.hypothesis = std::move(hypothesis), .references = std::move(references)};
}

TEST(Known, RougeOfColdOutside) {
  const ScoreExample cold = example("it is very cold outside.", {"it is cold outside."});
  const CorpusScores r = score_corpus("rouge", {&cold, 1});
  EXPECT_DOUBLE_EQ(r["rouge1_precision"], 0.8);
  EXPECT_DOUBLE_EQ(r["rouge1_recall"], 1.0);
  EXPECT_DOUBLE_EQ(r["rouge1"], 8.0 / 9.0);
  EXPECT_DOUBLE_EQ(r["rouge2_recall"], 2.0 / 3.0);
  EXPECT_DOUBLE_EQ(r["rouge2_precision"], 0.5);
  EXPECT_DOUBLE_EQ(r["rouge2"], 4.0 / 7.0);
}

TEST(Known, NltkBleuOfTea) {
  const std::string tea = "I am very happy to say that I am drinking a warm cup of tea";
  const std::vector<ScoreExample> examples = {
      example("I am very happy that I am drinking a cup of tea", {tea}),
      example("I am very happy that I am drinking a warm cup of tea", {tea}),
      example("I am very happy to say that I am drinking a warm tea", {tea}),
  };
  const CorpusScores r = score_corpus("nltk-bleu", examples);
  EXPECT_DOUBLE_EQ(r.each[0][0], 0.4953319416460018);
  EXPECT_DOUBLE_EQ(r.each[1][0], 0.729836014355472);
  EXPECT_DOUBLE_EQ(r.each[2][0], 0.7979042533838905);
}

TEST(Known, TerCountsAShiftAsOneEdit) {
  const ScoreExample moved = example("d e f a b c g", {"a b c d e f g"});
  EXPECT_DOUBLE_EQ(score_corpus("ter", {&moved, 1})["edits"], 1.0);
  const ScoreExample empty = example("a b", {""});
  EXPECT_DOUBLE_EQ(score_corpus("ter", {&empty, 1})["ter"], 100.0);
}

TEST(Known, DistinctCountsOverAllHypotheses) {
  const std::vector<ScoreExample> examples = {example("a b a", {}), example("a b c", {})};
  const CorpusScores r = score_corpus("distinct:order=2", examples);
  EXPECT_DOUBLE_EQ(r["distinct1"], 3.0 / 6.0);
  EXPECT_DOUBLE_EQ(r["distinct2"], 3.0 / 4.0);
  EXPECT_DOUBLE_EQ(r.each[1][0], 1.0);
}

TEST(Known, Method6WantsATrigram) {
  const ScoreExample none = example("a b x d", {"a b c d"});
  EXPECT_THROW(score_corpus("nltk-bleu:smooth=method6", {&none, 1}), DataError);
}

TEST(Known, SpecsAreChecked) {
  for (const char* spec : {"blue", "bleu:tokenise=13a", "bleu:tokenize=13b", "bleu:order=0",
                           "bleu:order=2.5", "bleu:order=", "bleu:smooth-value=1", "rouge:types=0",
                           "rouge:types=1/1", "rouge:types=", "nltk-bleu:weights=0.5/x",
                           "nltk-bleu:smooth=method6:weights=0.5/0.5", "length:x=1"})
    EXPECT_THROW(make_metric(spec), UsageError) << spec;
}

// The E2E challenge's figures, by its own scorer, and nlg-eval's of its examples.
class Published : public testing::Test {
 protected:
  void SetUp() override {
    const char* data = std::getenv("NIBBLE_DATA");
    if (!data) GTEST_SKIP() << "needs NIBBLE_DATA";
    folder_ = std::string(data) + "/metrics/";
  }
  std::vector<double> scores(const std::string& metric, ExampleOptions options) const {
    Scorer scorer(std::vector{metric});
    ExampleReader reader(options, scorer.needs());
    scorer.run(reader, false);
    return scorer.scores(scorer.metrics()[0]);
  }
  std::string folder_;
};

TEST_F(Published, E2eChallenge) {
  const auto of = [&](const char* system) {
    return scores("mteval", {.predictions = folder_ + "e2e/" + system,
                             .references = {folder_ + "e2e/testset_w_refs.csv"}});
  };
  const auto tgen = of("tgen.tsv"), slug = of("slug.tsv");
  EXPECT_NEAR(tgen[0], 0.6593, 5e-5);
  EXPECT_NEAR(tgen[1], 8.6094, 5e-5);
  EXPECT_NEAR(slug[0], 0.6619, 5e-5);
  EXPECT_NEAR(slug[1], 8.6130, 5e-5);
}

TEST_F(Published, NlgEval) {
  const auto bleu =
      scores("bleu:tokenize=none:smooth=none",
             {.predictions = folder_ + "nlg-eval/hyp.txt",
              .references = {folder_ + "nlg-eval/ref1.txt", folder_ + "nlg-eval/ref2.txt"}});
  EXPECT_NEAR(bleu[0], 20.1143, 5e-5);
}

}  // namespace
}  // namespace nibble
