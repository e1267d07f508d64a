// SPDX-License-Identifier: Apache-2.0
// Metric: what a text is worth against references. A metric measures every example by itself into a
// row of numbers, its statistics; scores, of one example or of a corpus, are made from rows alone.
// So a corpus is measured once, as a stream and by all threads, and resampled (bootstrap, paired
// tests) without looking at a text again. Where the corpus score is no mean (BLEU), the row holds
// the counts that add up.
//
// A metric is one file with a MetricKind, and one line in the table of metrics.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nibble {

/// One example, in valid UTF-8.
struct ScoreExample {
  std::string id;    // as its record or table names it; may be empty
  int64_t line = 0;  // where its prediction stands
  std::string hypothesis;
  std::vector<std::string> references;
  std::string record;  // what it was read from, where that is JSON and a metric asks for it
};

/// The statistics of many examples, one row of `width` numbers each.
struct Rows {
  std::span<const double> numbers;
  int64_t width = 0;

  int64_t size() const { return width > 0 ? std::ssize(numbers) / width : 0; }
  std::span<const double> operator[](int64_t row) const {
    return numbers.subspan(static_cast<size_t>(row * width), static_cast<size_t>(width));
  }
};

/// One number that a metric reports.
struct ScoreName {
  std::string name;  // "rouge1_f"; unique within the metric
  int decimals = 4;  // shown in tables
  bool less_is_better = false;
  bool detail = false;     // left out of tables, unless they are to be verbose
  bool of_example = true;  // false: examples have no score of that name
};

/// What a metric wants of every example.
struct MetricNeeds {
  bool hypothesis = true;   // false: a prediction without text will do
  bool references = true;   // false: works on hypotheses, or on fields of records
  bool empty_list = false;  // an example without any reference is sound
  bool records = false;     // ScoreExample::record
  bool all_first = false;   // prepare() must see the whole corpus before anything is measured
};

/// What a signature says of the corpus beside the metric's options.
struct CorpusFacts {
  int64_t references = -1;  // of every example; -1: not of all the same number
  std::string trials = {};  // "bs:1000|seed:12345|" where it was resampled, else empty
};

class Metric {
 public:
  virtual ~Metric() = default;

  virtual std::vector<ScoreName> scores() const = 0;
  virtual MetricNeeds needs() const { return {}; }
  /// Numbers in a row.
  virtual int64_t width() const = 0;

  /// Sees the whole corpus where needs().all_first (document frequencies and the like). These very
  /// examples are then measured.
  virtual void prepare(std::span<const ScoreExample>) {}
  /// Writes the example's row. Several threads call it at once. Throws DataError, without a place,
  /// for an example that cannot be measured.
  virtual void measure(const ScoreExample& example, std::span<double> row) const = 0;

  /// Whether prepare() finds all that the corpus score is made of: rows are for examples' own
  /// scores.
  virtual bool prepares_all() const { return false; }
  /// Whether the corpus score is a function of the sum of the rows: then rows need not be kept.
  virtual bool adds_up() const { return true; }
  /// Scores of a corpus of `examples` examples, of which the rows sum to `sum`; in the order of
  /// scores(). NaN where one is undefined. For metrics that add up.
  virtual void from_sum(std::span<const double> sum, int64_t examples,
                        std::span<double> scores) const;
  /// Scores of the corpus made of the examples `picks` (any number of times each): by default of
  /// their sum. Metrics that do not add up implement this one.
  virtual void from_rows(const Rows& rows, std::span<const int32_t> picks,
                         std::span<double> scores) const;
  /// One example's scores; by default those of a corpus of one.
  virtual void from_row(std::span<const double> row, std::span<double> scores) const;
  /// Whether from_rows() of a resampled corpus means something.
  virtual bool resamples() const { return true; }

  /// All that the scores depend on, as papers cite it; empty where the name says all.
  virtual std::string signature(const CorpusFacts&) const { return {}; }
};

/// A metric whose corpus scores are the means of its examples' scores: the row is the scores.
class MeanMetric : public Metric {
 public:
  int64_t width() const override { return std::ssize(scores()); }
  void from_sum(std::span<const double> sum, int64_t examples,
                std::span<double> scores) const override;
};

/// An option of a metric, as in --metric=bleu:tokenize=intl.
struct MetricOption {
  std::string_view name, standard, help;
  std::vector<std::string_view> choices = {};  // empty: any text
};

/// The values of a metric's options, the standard ones where none was given.
class MetricOptions {
 public:
  using Values = std::vector<std::pair<std::string, std::string>>;
  MetricOptions(std::string metric, Values values)
      : metric_(std::move(metric)), values_(std::move(values)) {}

  const std::string& text(std::string_view name) const;
  bool flag(std::string_view name) const;  // "yes" or "no"
  /// Throw UsageError where the value is no number, or outside the closed interval.
  double number(std::string_view name, double low, double high) const;
  int64_t integer(std::string_view name, int64_t low, int64_t high) const;
  /// Several, as in 0.5/0.5.
  std::vector<double> numbers(std::string_view name, double low, double high) const;
  /// Throws UsageError: "--metric=bleu: tokenize=13b: FAULT".
  [[noreturn]] void fail(std::string_view name, std::string_view fault) const;

 private:
  std::string metric_;
  Values values_;
};

inline const std::vector<std::string_view> kYesNo = {"yes", "no"};

struct MetricKind {
  std::string_view name;  // as --metric takes it
  std::string_view help;  // one line: what it is, as whose
  std::vector<MetricOption> options;
  std::unique_ptr<Metric> (*make)(const MetricOptions& options);
};

/// All kinds, in the order in which help lists them.
std::span<const MetricKind* const> metric_kinds();

/// Makes the metric that "NAME[:OPTION=VALUE]..." asks for. Throws UsageError that names what there
/// is instead.
std::unique_ptr<Metric> make_metric(std::string_view spec);

}  // namespace nibble
