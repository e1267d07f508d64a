// SPDX-License-Identifier: Apache-2.0
// METEOR 1.5 for English (Denkowski and Lavie, 2014), as pycocoevalcap 1.2 and the E2E challenge
// call it: texts tokenised by COCO's tokenizer, then METEOR's own (-norm), the parameters of its
// ranking task. What its matchers know comes from files that the user names; without them it
// matches words and stems, and says so.
//
//   P, R: matched words over words, content words weighed 0.75 and function words 0.25, matches 1
//   (exact), 0.6 (stem), 0.8 (synonym), 0.6 (paraphrase)
//   score = P R / (0.85 P + 0.15 R) (1 - 0.6 (chunks / matches)^0.2)
#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include "base/error.h"
#include "score/coco_texts.h"
#include "score/java_text.h"
#include "score/meteor15_align.h"
#include "score/meteor15_normalize.h"
#include "score/snowball.h"

namespace nibble {
namespace {

constexpr double kAlpha = 0.85, kBeta = 0.2, kGamma = 0.6, kDelta = 0.75;
constexpr std::array<double, kMeteorMatchers> kWeights = {1.0, 0.6, 0.8, 0.6};

// A row: lengths and function words of hypothesis and reference, what was matched, chunks. Those of
// a perfect match count for its own score alone, so they are there twice.
enum Field : size_t {
  kLengths = 0,
  kFunctionWords = 2,
  kContent = 4,
  kFunction = kContent + 2 * kMeteorMatchers,
  kChunks = kFunction + 2 * kMeteorMatchers,  // for sums
  kOwnChunks,
  kFields,
};

double score_of(std::span<const double> row, double chunks) {
  std::array<double, 2> matched = {}, weighed = {}, share = {};
  for (size_t side = 0; side < 2; ++side) {
    for (size_t m = 0; m < kMeteorMatchers; ++m) {
      matched[side] += row[kContent + 2 * m + side] + row[kFunction + 2 * m + side];
      weighed[side] += row[kContent + 2 * m + side] * kWeights[m] * kDelta;
    }
    for (size_t m = 0; m < kMeteorMatchers; ++m)
      weighed[side] += row[kFunction + 2 * m + side] * kWeights[m] * (1.0 - kDelta);
    const double functions = row[kFunctionWords + side];
    share[side] =
        weighed[side] / (kDelta * (row[kLengths + side] - functions) + (1.0 - kDelta) * functions);
  }
  const double mean = 1.0 / ((1.0 - kAlpha) / share[0] + kAlpha / share[1]);
  const bool same = matched[0] == row[kLengths] && matched[1] == row[kLengths + 1] && chunks == 1.0;
  const double fragments = same ? 0.0 : chunks / ((matched[0] + matched[1]) / 2.0);
  const double score = mean * (1.0 - kGamma * std::pow(fragments, kBeta));
  return std::isnan(score) ? 0.0 : std::max(score, 0.0);
}

class Meteor15Metric : public Metric {
 public:
  explicit Meteor15Metric(const MetricOptions& options)
      : texts_(options), normalize_(options.flag("norm")) {
    const std::string& jar = options.text("jar");
    const auto path = [&](std::string_view name, std::string_view in_jar) {
      const std::string& given = options.text(name);
      return !given.empty() || jar.empty() ? given : cat(jar, "/", in_jar);
    };
    if (const std::string p = path("functions", "function/english.words"); !p.empty())
      functions_ = read_function_words(p);
    if (const std::string p = path("prefixes", "nonbreaking/english.prefixes"); !p.empty())
      keepers_ = PeriodKeepers(p);
    if (const std::string p = path("synonyms", "synonym"); !p.empty()) synonyms_.emplace(p);
    paraphrase_path_ = options.text("paraphrases");
  }

  std::vector<ScoreName> scores() const override { return {{"meteor"}}; }
  MetricNeeds needs() const override { return {.all_first = true}; }
  int64_t width() const override { return kFields; }

  void prepare(std::span<const ScoreExample> examples) override {
    texts_.prepare(examples);
    for (const CocoTexts::Texts& texts : texts_.all()) {
      learn(texts.hypothesis);
      for (const std::string& reference : texts.references) learn(reference);
    }
    if (paraphrase_path_.empty()) return;
    StringTable numbers;
    numbers.reserve(words_.size());
    for (const auto& [text, word] : words_) numbers.insert(text, word.number);
    paraphrases_.emplace(paraphrase_path_, numbers);
  }

  void measure(const ScoreExample& example, std::span<double> row) const override {
    const CocoTexts::Texts texts = texts_.of(example);
    std::vector<std::unique_ptr<MeteorWord>> unknown;
    const MeteorWords hypothesis = words_of(texts.hypothesis, unknown);
    std::array<double, kFields> each;
    double best = -1.0;
    for (const std::string& text : texts.references) {
      measure_pair(hypothesis, words_of(text, unknown), each);
      const double score = score_of(each, each[kOwnChunks]);
      if (score <= best) continue;
      best = score;
      std::ranges::copy(each, row.begin());
    }
  }

  void from_sum(std::span<const double> sum, int64_t, std::span<double> scores) const override {
    scores[0] = score_of(sum, sum[kChunks]);
  }
  void from_row(std::span<const double> row, std::span<double> scores) const override {
    scores[0] = score_of(row, row[kOwnChunks]);
  }

  std::string signature(const CorpusFacts&) const override {
    return cat("METEOR 1.5 English, ", functions_ ? "" : "no ",
               "function words, matchers exact stem", synonyms_ ? " synonym" : "",
               paraphrase_path_.empty() ? "" : " paraphrase");
  }

 private:
  MeteorWord make_word(std::string_view text) const {
    std::u16string units;
    java::append_utf16(units, text);
    MeteorWord word{.hash = java::hash(units), .stem_hash = java::hash(snowball_stem(units))};
    if (functions_) {
      std::string lowered;
      java::append_utf8(lowered, java::lower(units));
      word.is_function = functions_->contains(lowered);
    }
    if (synonyms_) word.synonyms = synonyms_->sets_of(text);
    return word;
  }

  void split(std::string_view text, auto&& use) const {
    std::string normalized;
    if (normalize_) text = normalized = meteor_normalize(text, keepers_);
    constexpr std::string_view kBetween = " \t\n\r\f";
    for (size_t at = 0; (at = text.find_first_not_of(kBetween, at)) != text.npos;) {
      const size_t end = std::min(text.find_first_of(kBetween, at), text.size());
      use(text.substr(at, end - at));
      at = end;
    }
  }

  void learn(std::string_view text) {
    split(text, [&](std::string_view word) {
      if (words_.find(word) != words_.end()) return;
      MeteorWord made = make_word(word);
      made.number = static_cast<int32_t>(words_.size());
      words_.emplace(word, std::move(made));
    });
  }

  MeteorWords words_of(std::string_view text,
                       std::vector<std::unique_ptr<MeteorWord>>& unknown) const {
    MeteorWords words;
    split(text, [&](std::string_view word) {
      const auto at = words_.find(word);
      if (at == words_.end()) unknown.push_back(std::make_unique<MeteorWord>(make_word(word)));
      words.push_back(at == words_.end() ? unknown.back().get() : &at->second);
    });
    return words;
  }

  void measure_pair(const MeteorWords& hypothesis, const MeteorWords& reference,
                    std::span<double> row) const {
    const MeteorCounts counts = meteor_align(hypothesis, reference, synonyms_.has_value(),
                                             paraphrases_ ? &*paraphrases_ : nullptr);
    const MeteorWords* const sides[] = {&hypothesis, &reference};
    bool all = counts.chunks == 1.0;
    for (size_t side = 0; side < 2; ++side) {
      row[kLengths + side] = static_cast<double>(sides[side]->size());
      row[kFunctionWords + side] =
          static_cast<double>(std::ranges::count_if(*sides[side], &MeteorWord::is_function));
      double matched = 0.0;
      for (size_t m = 0; m < kMeteorMatchers; ++m) {
        row[kContent + 2 * m + side] = counts.content[m][side];
        row[kFunction + 2 * m + side] = counts.function[m][side];
        matched += counts.content[m][side] + counts.function[m][side];
      }
      all = all && matched == row[kLengths + side];
    }
    row[kChunks] = all ? 0.0 : counts.chunks;
    row[kOwnChunks] = counts.chunks;
  }

  CocoTexts texts_;
  bool normalize_;
  std::optional<StringSet> functions_;
  PeriodKeepers keepers_;
  std::optional<Synonyms> synonyms_;
  std::string paraphrase_path_;
  StringMap<MeteorWord> words_;
  std::optional<Paraphrases> paraphrases_;
};

}  // namespace

extern const MetricKind kMeteor15Metric;
const MetricKind kMeteor15Metric = {
    .name = "meteor-1.5",
    .help = "METEOR 1.5 for English, as pycocoevalcap 1.2 and the E2E challenge call it",
    .options =
        {
            coco_tokenize_option(),
            {"norm", "yes", "split and lowercase as METEOR's -norm", kYesNo},
            {"jar", "", "folder with what meteor-1.5.jar holds (unzip it): all but paraphrases"},
            {"paraphrases", "", "paraphrase table (zcat paraphrase-en.gz > paraphrase-en)"},
            {"functions", "", "function words, instead of the jar's function/english.words"},
            {"synonyms", "", "folder of english.synsets and english.exceptions"},
            {"prefixes", "", "abbreviations, instead of the jar's nonbreaking/english.prefixes"},
        },
    .make = [](const MetricOptions& options) -> std::unique_ptr<Metric> {
      return std::make_unique<Meteor15Metric>(options);
    },
};

}  // namespace nibble
