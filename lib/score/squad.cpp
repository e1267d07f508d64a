// SPDX-License-Identifier: Apache-2.0
// Exact match and F1 of answers, in percent, as the scorers of SQuAD v1.1 and v2.0 have them: texts
// lowercased, without ASCII punctuation and articles, split at white space; the best over the
// references. In v2.0 a question may have no answer: no reference, or only empty ones; then only an
// empty prediction is right, and both kinds of questions are also scored apart.
#include <algorithm>
#include <array>
#include <deque>
#include <memory>

#include "score/metric.h"
#include "score/ngrams.h"
#include "text/jinja_utf8.h"
#include "text/unicode.h"

namespace nibble {
namespace {

namespace utf8 = jinja::utf8;

enum class Kind : uint8_t { kWord, kSpace, kOther, kPunctuation };

// What a character is to Python: kWord is what \w means.
Kind kind_of(char32_t code) {
  if (is_python_space(code)) return Kind::kSpace;
  const bool word =
      code != kInvalidCode && (utf8::is_alpha(code) || utf8::is_decimal(code) ||
                               utf8::is_digit(code) || utf8::is_numeric(code) || code == '_');
  return word ? Kind::kWord : Kind::kOther;
}

struct AsciiKinds {
  std::array<Kind, 128> kinds;
  AsciiKinds() {
    for (char c = 0; c < 127; ++c)
      kinds[static_cast<size_t>(c)] = kind_of(static_cast<char32_t>(c));
    kinds[127] = Kind::kOther;
    for (const char c : std::string_view("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"))
      kinds[static_cast<size_t>(c)] = Kind::kPunctuation;
  }
};

// The tokens of texts as numbers: equal ones are equal tokens, until clear().
class Tokenizer {
 public:
  void clear() {
    ids_.clear();
    used_ = 0;
  }

  void number(std::string_view text, std::vector<int32_t>& numbers) {
    numbers.clear();
    // Views of the words that are numbered point into the texts kept here.
    if (used_ == texts_.size()) texts_.emplace_back();
    std::string& out = texts_[used_++];
    out.clear();
    out.reserve(text.size() + 8);
    const bool ascii = std::ranges::all_of(text, [](char c) { return (c & 0x80) == 0; });
    const std::string lowered = ascii ? std::string() : utf8::lower(text);
    if (!ascii) text = lowered;
    out.reserve(text.size());
    size_t token = 0, word = 0;  // where in `out` the token and the run of letters begin
    const auto end_token = [&](size_t end) {
      if (end > token)
        numbers.push_back(ids_.add(std::string_view(out).substr(token, end - token)));
      token = out.size();
    };
    // An article is a whole run of letters; it splits what stands around it.
    const auto end_word = [&] {
      const std::string_view run = std::string_view(out).substr(word);
      if (run == "a" || run == "an" || run == "the") {
        end_token(word);
        token = out.size();
      }
      word = out.size();
    };
    for (size_t at = 0; at < text.size();) {
      const auto byte = static_cast<unsigned char>(text[at]);
      size_t size = 1;
      Kind kind;
      if (byte < 0x80) {
        static const AsciiKinds kAscii;
        kind = kAscii.kinds[byte];
      } else {
        const CodePoint p = read_utf8(text, at);
        size = static_cast<size_t>(p.size);
        kind = kind_of(p.code);
      }
      if (kind == Kind::kWord || kind == Kind::kOther) {
        if (kind == Kind::kOther) end_word();
        if (ascii && byte >= 'A' && byte <= 'Z')
          out += static_cast<char>(byte | 0x20);
        else
          out += text.substr(at, size);
        if (kind == Kind::kOther) word = out.size();
      } else if (kind == Kind::kSpace) {
        end_word();
        end_token(out.size());
        word = out.size();
      }
      at += size;
    }
    end_word();
    end_token(out.size());
  }

  int32_t words() const { return ids_.size(); }

 private:
  WordIds ids_;
  std::deque<std::string> texts_;
  size_t used_ = 0;
};

// A hypothesis beside one reference after another.
class Comparison {
 public:
  explicit Comparison(std::string_view hypothesis) : tokenizer_(scratch()) {
    tokenizer_.clear();
    tokenizer_.number(hypothesis, own_);
  }
  void read(std::string_view reference) { tokenizer_.number(reference, theirs_); }

  bool own_empty() const { return own_.empty(); }
  bool reference_empty() const { return theirs_.empty(); }
  bool exact() const { return own_ == theirs_; }
  double f1() {
    counts_.assign(static_cast<size_t>(tokenizer_.words()), 0);
    for (const int32_t token : own_) ++counts_[static_cast<size_t>(token)];
    double common = 0.0;
    for (const int32_t token : theirs_) common += counts_[static_cast<size_t>(token)]-- > 0;
    if (common == 0.0) return 0.0;
    const double precision = common / static_cast<double>(own_.size());
    const double recall = common / static_cast<double>(theirs_.size());
    return 2.0 * precision * recall / (precision + recall);
  }

 private:
  static Tokenizer& scratch() {
    thread_local Tokenizer tokenizer;
    return tokenizer;
  }
  Tokenizer& tokenizer_;
  std::vector<int32_t> own_, theirs_, counts_;
};

class SquadMetric : public MeanMetric {
 public:
  std::vector<ScoreName> scores() const override { return {{"exact_match", 2}, {"f1", 2}}; }
  void measure(const ScoreExample& example, std::span<double> row) const override {
    Comparison comparison(example.hypothesis);
    row[0] = row[1] = 0.0;
    for (const std::string& reference : example.references) {
      comparison.read(reference);
      if (comparison.exact()) row[0] = 100.0;
      row[1] = std::max(row[1], 100.0 * comparison.f1());
    }
  }
};

class Squad2Metric : public Metric {
 public:
  std::vector<ScoreName> scores() const override {
    return {{"exact", 2},
            {"f1", 2},
            {.name = "has_answer_exact", .decimals = 2, .of_example = false},
            {.name = "has_answer_f1", .decimals = 2, .of_example = false},
            {.name = "no_answer_exact", .decimals = 2, .of_example = false}};
  }
  MetricNeeds needs() const override { return {.empty_list = true}; }
  // Exact, F1 and questions; of those with an answer, then of those without.
  int64_t width() const override { return 6; }

  void measure(const ScoreExample& example, std::span<double> row) const override {
    Comparison comparison(example.hypothesis);
    std::ranges::fill(row, 0.0);
    bool answer = false;
    double exact = 0.0, f1 = 0.0;
    for (const std::string& reference : example.references) {
      comparison.read(reference);
      if (comparison.reference_empty()) continue;
      answer = true;
      if (comparison.exact()) exact = 100.0;
      f1 = std::max(f1, 100.0 * comparison.f1());
    }
    if (!answer) exact = f1 = comparison.own_empty() ? 100.0 : 0.0;
    const size_t kind = answer ? 0 : 3;
    row[kind] = exact;
    row[kind + 1] = f1;
    row[kind + 2] = 1.0;
  }

  void from_sum(std::span<const double> sum, int64_t, std::span<double> scores) const override {
    const double all = sum[2] + sum[5];  // 0 / 0 is NaN: undefined
    scores[0] = (sum[0] + sum[3]) / all;
    scores[1] = (sum[1] + sum[4]) / all;
    scores[2] = sum[0] / sum[2];
    scores[3] = sum[1] / sum[2];
    scores[4] = sum[3] / sum[5];
  }
};

template <class T>
std::unique_ptr<Metric> make(const MetricOptions&) {
  return std::make_unique<T>();
}

}  // namespace

extern const MetricKind kSquadMetric, kSquad2Metric;
const MetricKind kSquadMetric = {
    .name = "squad",
    .help = "exact match and F1 of answers, in percent, as SQuAD v1.1",
    .options = {},
    .make = make<SquadMetric>,
};
const MetricKind kSquad2Metric = {
    .name = "squad-v2",
    .help = "the same as SQuAD v2.0, with questions that have no answer",
    .options = {},
    .make = make<Squad2Metric>,
};

}  // namespace nibble
