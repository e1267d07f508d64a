// SPDX-License-Identifier: Apache-2.0
// Perplexity from the natural logarithms of tokens' probabilities that prediction records carry, in
// the forms in which servers and scorers write them:
//
//   "logprobs": [null, -0.7, ...]                    null: a first token that nothing predicts
//   "logprobs": [{"token": "a", "logprob": -0.7}, ...], or an object whose "content" is that list
//   "logprobs": {"token_logprobs": [null, -0.7, ...]}
//   "logprobs": -12.5, "tokens": 20                  their sum and number
//
// Perplexity is exp(-sum / tokens), of the whole corpus over all tokens.
#include <cmath>
#include <memory>

#include "base/error.h"
#include "score/example_record.h"

namespace nibble {
namespace {

using simdjson::dom::element;

struct Sum {
  double log_probability = 0.0, tokens = 0.0;
};

void add(element item, Sum& sum) {
  if (item.is_null()) return;
  const double value = number_of(item.is_object() ? member_of(item, "logprob") : item);
  if (!(value <= 0.0)) throw DataError(cat("a log-probability is ", value, ", above 0"));
  sum.log_probability += value;
  sum.tokens += 1.0;
}

class LogProbabilityMetric : public Metric {
 public:
  explicit LogProbabilityMetric(const MetricOptions& options)
      : field_(options.text("field")), tokens_field_(options.text("tokens")) {}

  std::vector<ScoreName> scores() const override {
    return {{.name = "perplexity", .less_is_better = true},
            {.name = "nll_per_token", .less_is_better = true},
            {.name = "tokens", .decimals = 0, .detail = true}};
  }
  MetricNeeds needs() const override {
    return {.hypothesis = false, .references = false, .empty_list = true, .records = true};
  }
  int64_t width() const override { return 2; }

  void measure(const ScoreExample& example, std::span<double> row) const override {
    const element record = record_of(example);
    element list = member_of(record, field_);
    Sum sum;
    if (list.is_number()) {
      add(list, sum);
      sum.tokens = number_of(member_of(record, tokens_field_));
      if (!(sum.tokens >= 0.0)) throw DataError(cat("\"", tokens_field_, "\" is below 0"));
    } else {
      for (const char* name : {"content", "token_logprobs"})
        if (element inner; list[name].get(inner) == simdjson::SUCCESS) list = inner;
      for (const element item : array_of(list)) add(item, sum);
    }
    row[0] = sum.log_probability;
    row[1] = sum.tokens;
  }

  void from_sum(std::span<const double> sum, int64_t, std::span<double> scores) const override {
    scores[1] = -sum[0] / sum[1];  // 0 / 0 is NaN: undefined
    scores[0] = std::exp(scores[1]);
    scores[2] = sum[1];
  }

 private:
  std::string field_, tokens_field_;
};

}  // namespace

extern const MetricKind kLogProbabilityMetric;
const MetricKind kLogProbabilityMetric = {
    .name = "perplexity",
    .help = "perplexity from the log-probabilities that predictions carry",
    .options =
        {
            {"field", "logprobs", "the field with tokens' log-probabilities, or their sum"},
            {"tokens", "tokens", "where the sum is given, the field with their number"},
        },
    .make = [](const MetricOptions& options) -> std::unique_ptr<Metric> {
      return std::make_unique<LogProbabilityMetric>(options);
    },
};

}  // namespace nibble
