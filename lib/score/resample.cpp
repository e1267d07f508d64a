// SPDX-License-Identifier: Apache-2.0
#include "score/resample.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/profile.h"
#include "base/threads.h"
#include "score/numpy_random.h"

namespace nibble {
namespace {

// Draws are made in order and scored by all threads, some trials at a time.
constexpr int64_t kTrialsAtOnce = 64;

// Calls draw(picks) for every trial in order, and score(trial, picks) by all threads.
template <class Draw, class Score>
void for_each_trial(int64_t trials, size_t width, Draw draw, Score score) {
  const Span span("resample");
  std::vector<int32_t> picks;
  for (int64_t first = 0; first < trials; first += kTrialsAtOnce) {
    const int64_t count = std::min(kTrialsAtOnce, trials - first);
    picks.resize(static_cast<size_t>(count) * width);
    const auto of = [&](int64_t i) {
      return std::span(picks).subspan(static_cast<size_t>(i) * width, width);
    };
    for (int64_t i = 0; i < count; ++i) draw(of(i));
    parallel_for(count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) score(first + i, of(i));
    });
  }
}

// Scores by trial, of each score of a metric.
using Trials = std::vector<std::vector<double>>;

Trials trials_of(size_t scores, int64_t trials) {
  return Trials(scores, std::vector<double>(static_cast<size_t>(trials)));
}

void keep(Trials& all, int64_t trial, std::span<const double> scores) {
  for (size_t s = 0; s < scores.size(); ++s) all[s][static_cast<size_t>(trial)] = scores[s];
}

// sacrebleu's: those above the real difference, both counts one more.
double p_value(std::span<const double> trials, double difference) {
  const auto above = std::ranges::count_if(trials, [&](double d) { return d > difference; });
  return static_cast<double>(above + 1) / static_cast<double>(trials.size() + 1);
}

double mean_of(std::span<const double> values) {
  double sum = 0.0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

Trials bootstrap_trials(const Measured& m, int64_t trials, uint64_t seed) {
  const Rows rows = m.rows();
  NumpyRandom random(seed);
  Trials all = trials_of(m.names.size(), trials);
  for_each_trial(
      trials, static_cast<size_t>(rows.size()),
      [&](std::span<int32_t> picks) { random.integers(rows.size(), picks); },
      [&](int64_t trial, std::span<const int32_t> picks) {
        std::vector<double> scores(m.names.size());
        m.metric->from_rows(rows, picks, scores);
        keep(all, trial, scores);
      });
  return all;
}

std::vector<double> paired_bootstrap(const Measured& system, const Measured& baseline,
                                     std::span<const double> differences, int64_t trials,
                                     uint64_t seed) {
  const Trials ours = bootstrap_trials(system, trials, seed);
  const Trials theirs = bootstrap_trials(baseline, trials, seed);
  std::vector<double> p;
  for (size_t s = 0; s < differences.size(); ++s) {
    std::vector<double> trial(static_cast<size_t>(trials));
    for (size_t t = 0; t < trial.size(); ++t) trial[t] = std::abs(ours[s][t] - theirs[s][t]);
    const double mean = mean_of(trial);
    for (double& t : trial) t -= mean;
    p.push_back(p_value(trial, differences[s]));
  }
  return p;
}

// Each trial gives every example of the one system to the other, or not, by a coin.
std::vector<double> randomization(const Measured& system, const Measured& baseline,
                                  std::span<const double> differences, int64_t trials,
                                  uint64_t seed) {
  const int64_t examples = system.rows().size();
  const auto offset = static_cast<int32_t>(examples);
  std::vector<double> both = baseline.numbers;  // and then the system's
  both.insert(both.end(), system.numbers.begin(), system.numbers.end());
  const Rows rows{.numbers = both, .width = system.metric->width()};
  NumpyRandom random(seed);
  Trials all = trials_of(differences.size(), trials);
  for_each_trial(
      trials, static_cast<size_t>(examples),
      [&](std::span<int32_t> picks) {
        for (int32_t i = 0; i < offset; ++i)
          picks[static_cast<size_t>(i)] = random.coin() ? i : offset + i;
      },
      [&](int64_t trial, std::span<int32_t> picks) {
        std::vector<double> one(differences.size()), other(differences.size());
        system.metric->from_rows(rows, picks, one);
        for (int32_t& pick : picks) pick = pick < offset ? pick + offset : pick - offset;
        system.metric->from_rows(rows, picks, other);
        for (size_t s = 0; s < one.size(); ++s) one[s] = std::abs(one[s] - other[s]);
        keep(all, trial, one);
      });
  std::vector<double> p;
  for (size_t s = 0; s < differences.size(); ++s) p.push_back(p_value(all[s], differences[s]));
  return p;
}

}  // namespace

std::vector<Interval> bootstrap(const Measured& m, int64_t trials, uint64_t seed) {
  std::vector<Interval> intervals;
  if (!m.metric->resamples()) return intervals;
  for (std::vector<double>& scores : bootstrap_trials(m, trials, seed)) {
    if (std::ranges::any_of(scores, [](double s) { return std::isnan(s); })) {
      constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
      intervals.push_back({.mean = kNan, .low = kNan, .high = kNan});
      continue;
    }
    std::ranges::sort(scores);
    const auto n = scores.size();
    intervals.push_back(
        {.mean = mean_of(scores), .low = scores[n / 40], .high = scores[n - n / 40 - 1]});
  }
  return intervals;
}

std::vector<double> paired_test(PairedTest test, const Measured& system, const Measured& baseline,
                                std::span<const double> system_scores,
                                std::span<const double> baseline_scores, int64_t trials,
                                uint64_t seed) {
  if (!system.metric->resamples()) return {};
  CHECK(system.numbers.size() == baseline.numbers.size());
  std::vector<double> differences;
  for (size_t s = 0; s < system_scores.size(); ++s)
    differences.push_back(std::abs(system_scores[s] - baseline_scores[s]));
  return test == PairedTest::kBootstrap
             ? paired_bootstrap(system, baseline, differences, trials, seed)
             : randomization(system, baseline, differences, trials, seed);
}

}  // namespace nibble
