// SPDX-License-Identifier: Apache-2.0
// COCO's tokenizer, ROUGE_L, CIDEr and METEOR 1.5 against what pycocoevalcap and its jars made of
// captions of ours (golden/make_captions.py).
#include <gtest/gtest.h>

#include "io/json.h"
#include "run_metric.h"
#include "score/ptb_tokenizer.h"
#include "score/snowball.h"

namespace nibble {
namespace {

const std::string kGolden = std::string(NIBBLE_TEST_DATA) + "/score/golden/";

const Json& golden() {
  static const Json json = read_json_file(kGolden + "captions.json");
  return json;
}

std::vector<ScoreExample> golden_examples() {
  std::vector<ScoreExample> examples;
  for (const Json& item : golden().at("examples").as_array()) {
    ScoreExample& example = examples.emplace_back();
    example.hypothesis = item.at("hypothesis").as_string();
    for (const Json& reference : item.at("references").as_array())
      example.references.push_back(reference.as_string());
  }
  return examples;
}

TEST(Captions, AreTokenisedAsTheJarDoes) {
  std::vector<std::string_view> captions;
  for (const Json& caption : golden().at("captions").as_array())
    captions.push_back(caption.as_string());
  const std::vector<std::string> tokens = PtbTokenizer().captions(captions);
  const Json::Array& want = golden().at("tokens").as_array();
  ASSERT_EQ(tokens.size(), want.size());
  for (size_t i = 0; i < tokens.size(); ++i)
    EXPECT_EQ(tokens[i], want[i].as_string()) << "of " << captions[i];
}

TEST(Captions, ScoreAsTheirScorersDo) {
  const std::vector<ScoreExample> examples = golden_examples();
  for (const auto& [name, want] : golden().at("scores").as_object()) {
    std::string spec = name;
    for (size_t at; (at = spec.find("{meteor}")) != spec.npos;)
      spec.replace(at, std::string_view("{meteor}").size(), kGolden + "meteor");
    const Measured got = measure(spec, examples);
    // Sums of some hundred terms below 10, each rounded: 1e-12 is far above what rounding does.
    EXPECT_NEAR(got.corpus[0], want.at("corpus").as_number(), 1e-12) << name;
    for (size_t i = 0; i < examples.size(); ++i)
      EXPECT_NEAR(got.each[i][0], want.at("each").as_array()[i].as_number(), 1e-12)
          << name << ": " << examples[i].hypothesis << " | " << examples[i].references[0];
  }
}

TEST(Captions, EndAsTheNextOneBeginsSays) {
  PtbTokenizer tokenizer;
  const std::string_view then[] = {"this is plan B.", "The next one"};
  EXPECT_EQ(tokenizer.captions(then)[0], "this is plan b");
  EXPECT_EQ(tokenizer.caption("this is plan B."), "this is plan b.");
}

TEST(Captions, BreakNowhereBesideTheirEnds) {
  PtbTokenizer tokenizer;
  const std::string_view captions[] = {"two\nlines\r\nand\u2028more", "<b a=\"open", "closed\">"};
  const std::vector<std::string> tokens = tokenizer.captions(captions);
  EXPECT_EQ(tokens[0], "two lines and more");
  EXPECT_EQ(tokens[1], "< b a = open");
  EXPECT_EQ(tokens[2], "closed >");
}

TEST(Snowball, StemsAsTheProjectsExamples) {
  const std::pair<std::u16string_view, std::u16string_view> kStems[] = {
      {u"consolatory", u"consolatori"},
      {u"knightly", u"knight"},
      {u"generously", u"generous"},
      {u"hopping", u"hop"},
      {u"hoping", u"hope"},
      {u"skies", u"sky"},
      {u"dying", u"die"},
      {u"sayings", u"say"},
      {u"succeeding", u"succeed"},
      {u"relational", u"relat"},
      {u"café's", u"café"},
      {u"by", u"by"},
      {u"'tis", u"tis"},
  };
  for (const auto& [word, stem] : kStems) EXPECT_EQ(snowball_stem(word), stem);
}

}  // namespace
}  // namespace nibble
