// SPDX-License-Identifier: Apache-2.0
// Scores that rouge-score, sacrebleu and NLTK gave (golden/make_metrics.py), for corpora of many
// scripts with empty texts, marks, emoji and odd punctuation among them.
#include <gtest/gtest.h>

#include <cmath>

#include "io/json.h"
#include "score/porter.h"
#include "support/score_corpus.h"

namespace nibble {
namespace {

// The same operations on the same counts, but for the order of sums and the roundings of libm.
double tolerance(double want) {
  return 1e-11 * std::max(1.0, std::abs(want));
}

const Json& golden() {
  static const Json json =
      read_json_file(std::string(NIBBLE_TEST_DATA) + "/score/golden/metrics.json");
  return json;
}

std::vector<ScoreExample> examples_of(const Json& corpus) {
  std::vector<ScoreExample> examples;
  for (const Json& text : corpus.at("hypotheses").as_array())
    examples.push_back({.hypothesis = text.as_string()});
  size_t i = 0;
  for (const Json& own : corpus.at("references").as_array()) {
    for (const Json& text : own.as_array()) examples[i].references.push_back(text.as_string());
    ++i;
  }
  return examples;
}

TEST(Golden, MetricsAreTheReferencesOwn) {
  int64_t compared = 0;
  for (const Json& corpus : golden().at("corpora").as_array()) {
    const std::vector<ScoreExample> examples = examples_of(corpus);
    for (const auto& [spec, names] : corpus.at("scores").as_object()) {
      const CorpusScores got = score_corpus(spec, examples);
      for (const auto& [name, values] : names.as_object()) {
        const std::string where = corpus.at("script").as_string() + " " + spec + " " + name;
        const double want = values.as_array()[0].as_number();
        EXPECT_NEAR(got[name], want, tolerance(want)) << where;
        const Json& each = values.as_array()[1];
        for (size_t i = 0; !each.is_null() && i < examples.size(); ++i) {
          const double own = each.as_array()[i].as_number();
          EXPECT_NEAR(got.each[i][got.index(name)], own, tolerance(own))
              << where << ": " << examples[i].hypothesis;
          ++compared;
        }
      }
    }
  }
  EXPECT_GT(compared, 2000);
}

TEST(Golden, StemsAreNltks) {
  const auto& stems = golden().at("stems").as_object();
  EXPECT_GT(stems.size(), 40u);
  for (const auto& [word, stem] : stems) EXPECT_EQ(porter_stem(word), stem.as_string()) << word;
}

}  // namespace
}  // namespace nibble
