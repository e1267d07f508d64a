// SPDX-License-Identifier: Apache-2.0
// Predicted classes against true ones, as GLUE scores them (scikit-learn's definitions): accuracy,
// F1 of one class, the mean F1 over classes, F1 over all decisions, and Matthews' correlation. A
// text without white space at its ends is a class.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <mutex>

#include "score/metric.h"
#include "score/string_map.h"
#include "text/unicode.h"

namespace nibble {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

double f1_of(double both, double predicted, double actual) {
  return predicted + actual > 0.0 ? 2.0 * both / (predicted + actual) : 0.0;
}

class ClassificationMetric : public Metric {
 public:
  explicit ClassificationMetric(const MetricOptions& options)
      : positive_(number_of(options.text("positive"))) {}

  std::vector<ScoreName> scores() const override {
    return {{"accuracy"},
            {.name = "f1", .of_example = false},
            {.name = "f1_macro", .of_example = false},
            {.name = "f1_micro", .of_example = false},
            {.name = "mcc", .of_example = false}};
  }
  // The numbers of the predicted and of the true class.
  int64_t width() const override { return 2; }
  bool adds_up() const override { return false; }

  void measure(const ScoreExample& example, std::span<double> row) const override {
    const std::string_view predicted = python_strip(example.hypothesis);
    std::string_view actual = python_strip(example.references.front());
    for (const std::string& reference : example.references)
      if (python_strip(reference) == predicted) actual = predicted;
    row[0] = number_of(predicted);
    row[1] = number_of(actual);
  }

  void from_row(std::span<const double> row, std::span<double> scores) const override {
    std::ranges::fill(scores, kUndefined);
    scores[0] = row[0] == row[1] ? 1.0 : 0.0;
  }

  void from_rows(const Rows& rows, std::span<const int32_t> picks,
                 std::span<double> scores) const override {
    struct Class {
      double predicted = 0.0, actual = 0.0, both = 0.0;
    };
    std::map<double, Class> classes;
    for (const int32_t pick : picks) {
      const std::span<const double> row = rows[pick];
      classes[row[0]].predicted += 1.0;
      Class& actual = classes[row[1]];
      actual.actual += 1.0;
      actual.both += row[0] == row[1];
    }
    const auto n = static_cast<double>(picks.size());
    double right = 0.0, f1_sum = 0.0, products = 0.0, predicted_squares = 0.0, actual_squares = 0.0;
    for (const auto& [number, c] : classes) {
      right += c.both;
      f1_sum += f1_of(c.both, c.predicted, c.actual);
      products += c.predicted * c.actual;
      predicted_squares += c.predicted * c.predicted;
      actual_squares += c.actual * c.actual;
    }
    const Class positive = classes.contains(positive_) ? classes.at(positive_) : Class{};
    const double spread = (n * n - predicted_squares) * (n * n - actual_squares);
    scores[0] = right / n;
    scores[1] = f1_of(positive.both, positive.predicted, positive.actual);
    scores[2] = f1_sum / static_cast<double>(classes.size());
    scores[3] = right / n;  // every example is one decision
    scores[4] = spread > 0.0 ? (right * n - products) / std::sqrt(spread) : 0.0;
  }

 private:
  double number_of(std::string_view name) const {
    const std::lock_guard lock(mutex_);
    const auto at = numbers_.find(name);
    if (at != numbers_.end()) return at->second;
    return numbers_.emplace(name, static_cast<double>(numbers_.size())).first->second;
  }

  mutable std::mutex mutex_;
  mutable StringMap<double> numbers_;
  double positive_;
};

}  // namespace

extern const MetricKind kClassificationMetric;
const MetricKind kClassificationMetric = {
    .name = "classification",
    .help = "accuracy, F1 and Matthews' correlation of classes, as GLUE",
    .options = {{"positive", "1", "the class that \"f1\" is of"}},
    .make = [](const MetricOptions& options) -> std::unique_ptr<Metric> {
      return std::make_unique<ClassificationMetric>(options);
    },
};

}  // namespace nibble
