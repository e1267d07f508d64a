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

struct Ascii {
  std::array<Kind, 128> kinds;
  std::array<char, 128> lower;
  Ascii() {
    for (size_t c = 0; c < 128; ++c) {
      kinds[c] = kind_of(static_cast<char32_t>(c));
      lower[c] = static_cast<char>(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    }
    for (const char c : std::string_view("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"))
      kinds[static_cast<size_t>(c)] = Kind::kPunctuation;
  }
};
const Ascii kAscii;

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
    const bool ascii = std::ranges::all_of(text, [](char c) { return (c & 0x80) == 0; });
    const std::string lowered = ascii ? std::string() : utf8::lower(text);
    if (!ascii) text = lowered;
    out.resize(text.size());
    char* const to = out.data();
    size_t size = 0;             // of what is written
    size_t token = 0, word = 0;  // where in it the token and the run of letters begin
    const auto end_token = [&](size_t end) {
      if (end > token) numbers.push_back(ids_.add({to + token, end - token}));
      token = size;
    };
    // An article is a whole run of letters; it splits what stands around it.
    const auto end_word = [&] {
      if (size - word - 1 < 3) {
        const std::string_view run(to + word, size - word);
        if (run == "a" || run == "an" || run == "the") end_token(word);
      }
      word = size;
    };
    for (size_t at = 0; at < text.size();) {
      const auto byte = static_cast<unsigned char>(text[at]);
      if (byte < 0x80) {
        const Kind kind = kAscii.kinds[byte];
        ++at;
        if (kind == Kind::kPunctuation) continue;
        if (kind == Kind::kWord) {
          to[size++] = kAscii.lower[byte];
          continue;
        }
        end_word();
        if (kind == Kind::kSpace)
          end_token(size);
        else
          to[size++] = static_cast<char>(byte);
        word = size;
        continue;
      }
      const CodePoint p = read_utf8(text, at);
      const Kind kind = kind_of(p.code);
      if (kind != Kind::kWord) end_word();
      if (kind == Kind::kSpace) end_token(size);
      for (int i = 0; i < p.size && kind != Kind::kSpace; ++i)
        to[size++] = text[at + static_cast<size_t>(i)];
      if (kind != Kind::kWord) word = size;
      at += static_cast<size_t>(p.size);
    }
    end_word();
    end_token(size);
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
  void begin(std::string_view hypothesis) {
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
  Tokenizer tokenizer_;
  std::vector<int32_t> own_, theirs_, counts_;
};

Comparison& begin_comparison(std::string_view hypothesis) {
  thread_local Comparison comparison;
  comparison.begin(hypothesis);
  return comparison;
}

class SquadMetric : public MeanMetric {
 public:
  std::vector<ScoreName> scores() const override { return {{"exact_match", 2}, {"f1", 2}}; }
  void measure(const ScoreExample& example, std::span<double> row) const override {
    Comparison& comparison = begin_comparison(example.hypothesis);
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
    Comparison& comparison = begin_comparison(example.hypothesis);
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
