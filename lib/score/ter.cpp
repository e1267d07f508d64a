// SPDX-License-Identifier: Apache-2.0
// TER (Snover et al., 2006) as sacrebleu computes it: the fewest edits to any reference, over the
// mean length of references; words as Tercom's normalizer has them.
#include <algorithm>
#include <array>
#include <limits>

#include "base/error.h"
#include "score/bleu_tokenizers.h"
#include "score/metric.h"
#include "score/ngrams.h"
#include "score/sacrebleu.h"
#include "score/ter_distance.h"
#include "score/words.h"
#include "text/jinja_utf8.h"

namespace nibble {
namespace {

struct TerRules {
  bool normalized = false, no_punctuation = false, asian = false, case_sensitive = false;
};

struct Range {
  char32_t first, last;
};
constexpr Range kAsianPunctuation[] = {{0x3001, 0x3002}, {0x3008, 0x3011}, {0x3014, 0x301F},
                                       {0xFF61, 0xFF65}, {0x30FB, 0x30FB}, {0xFF0E, 0xFF0E},
                                       {0xFF0C, 0xFF0C}, {0xFF1F, 0xFF1F}, {0xFF1A, 0xFF1B},
                                       {0xFF01, 0xFF02}, {0xFF08, 0xFF09}};
// Ideographs, their strokes, radicals and compatibility forms; 3F22 is where Tercom's range of
// enclosed letters ends in sacrebleu.
constexpr Range kIdeographs[] = {{0x2E80, 0x2EFF}, {0x31C0, 0x31EF}, {0x3200, 0x3F22},
                                 {0x3400, 0x4DBF}, {0x4E00, 0x9FFF}, {0xF900, 0xFAFF},
                                 {0xFE30, 0xFE4F}};

bool is_in(std::span<const Range> ranges, char32_t code) {
  return std::ranges::any_of(ranges, [&](Range r) { return code >= r.first && code <= r.last; });
}

// Rewrites characters by sort: those dropped, and those set apart by spaces.
template <class Dropped, class Apart>
void rewrite(std::string& text, Dropped dropped, Apart apart) {
  std::string out;
  for_each_character(text, [&](char32_t code) {
    if (dropped(code)) return;
    const bool spaced = apart(code);
    if (spaced) out += ' ';
    append_utf8(out, code);
    if (spaced) out += ' ';
  });
  text = std::move(out);
}

void tokenize(const TerRules& rules, std::string_view line, std::string& out) {
  constexpr std::u32string_view kPunctuation = U".,?:;!\"()";
  const auto never = [](char32_t) { return false; };
  line = strip_end(line);
  out = rules.case_sensitive ? std::string(line) : jinja::utf8::lower(line);
  if (out.empty()) return;
  if (rules.normalized) {
    replace_all(out, "\n-", "");
    replace_all(out, "\n", " ");
    replace_entities(out);
    out = cat(" ", out, " ");
    split_punctuation(out);
    replace_all(out, "'s ", " 's ");
    split_stops(out);
    if (rules.asian)
      rewrite(out, never, [](char32_t code) {
        return is_in(kIdeographs, code) || is_in(kAsianPunctuation, code);
      });
  }
  if (rules.no_punctuation)
    rewrite(
        out,
        [&](char32_t code) {
          return kPunctuation.find(code) != kPunctuation.npos ||
                 (rules.asian && is_in(kAsianPunctuation, code));
        },
        never);
}

std::string joined_words(std::string_view text) {
  std::string out;
  for_each_word(text, [&](std::string_view word) { out += cat(out.empty() ? "" : " ", word); });
  return out;
}

class TerMetric : public Metric {
 public:
  explicit TerMetric(TerRules rules) : rules_(rules) {}

  std::vector<ScoreName> scores() const override {
    return {{.name = "ter", .decimals = 2, .less_is_better = true},
            {.name = "edits", .decimals = 0, .less_is_better = true, .detail = true},
            {.name = "reference_length", .decimals = 2, .detail = true}};
  }
  int64_t width() const override { return 2; }  // edits, mean length of references

  void measure(const ScoreExample& example, std::span<double> row) const override {
    thread_local WordIds words;
    thread_local std::vector<std::string> texts;
    thread_local std::vector<int32_t> hypothesis, reference;
    words.clear();
    texts.resize(std::max(texts.size(), example.references.size() + 1));
    const auto read = [&](std::string_view line, std::string& text, std::vector<int32_t>& ids) {
      tokenize(rules_, line, text);
      ids.clear();
      for_each_word(text, [&](std::string_view word) { ids.push_back(words.add(word)); });
    };
    read(example.hypothesis, texts.back(), hypothesis);
    int64_t fewest = std::numeric_limits<int64_t>::max();
    double length = 0.0;
    for (size_t i = 0; i < example.references.size(); ++i) {
      // sacrebleu normalises references twice, which is not always the same as once.
      std::string once;
      if (rules_.normalized) tokenize(rules_, example.references[i], once);
      read(rules_.normalized ? joined_words(once) : example.references[i], texts[i], reference);
      fewest = std::min(fewest, ter_edits(hypothesis, reference));
      length += static_cast<double>(reference.size());
    }
    row[0] = static_cast<double>(fewest);
    row[1] = length / static_cast<double>(example.references.size());
  }

  void from_sum(std::span<const double> sum, int64_t, std::span<double> scores) const override {
    const double edits = sum[0], length = sum[1];
    scores[0] = 100.0 * (length > 0.0 ? edits / length : edits > 0.0 ? 1.0 : 0.0);
    scores[1] = edits;
    scores[2] = length;
  }

  std::string signature(const CorpusFacts& facts) const override {
    const auto yes = [](bool value) { return value ? "yes" : "no"; };
    return cat(signature_start(facts), "case:", rules_.case_sensitive ? "mixed" : "lc",
               "|tok:tercom|norm:", yes(rules_.normalized), "|punct:", yes(!rules_.no_punctuation),
               "|asian:", yes(rules_.asian), "|", kSacrebleuVersion);
  }

 private:
  TerRules rules_;
};

}  // namespace

extern const MetricKind kTerMetric;
const MetricKind kTerMetric = {
    .name = "ter",
    .help = "translation edit rate, as sacrebleu; less is better",
    .options = {{"normalized", "no", "Tercom's normalisation of punctuation", kYesNo},
                {"no-punct", "no", "whether punctuation is left out", kYesNo},
                {"asian-support", "no", "whether both treat Chinese and Japanese marks", kYesNo},
                {"case-sensitive", "no", "whether case counts", kYesNo}},
    .make = [](const MetricOptions& options) -> std::unique_ptr<Metric> {
      return std::make_unique<TerMetric>(
          TerRules{.normalized = options.flag("normalized"),
                   .no_punctuation = options.flag("no-punct"),
                   .asian = options.flag("asian-support"),
                   .case_sensitive = options.flag("case-sensitive")});
    },
};

}  // namespace nibble
