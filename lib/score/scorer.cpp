// SPDX-License-Identifier: Apache-2.0
#include "score/scorer.h"

#include <algorithm>
#include <mutex>
#include <numeric>
#include <optional>

#include "base/error.h"
#include "base/profile.h"
#include "base/threads.h"

namespace nibble {
namespace {

// Examples measured at a time where all are held, so that rows need not be.
constexpr size_t kChunk = 8192;

size_t bytes_of(const ScoreExample& e) {
  size_t bytes = e.hypothesis.size() + e.record.size();
  for (const std::string& reference : e.references) bytes += reference.size();
  return bytes;
}

}  // namespace

Scorer::Scorer(std::span<const std::string> specs) : batch_(specs.size()) {
  for (const std::string& spec : specs) {
    if (std::ranges::count(specs, spec) > 1)
      throw UsageError(cat("--metric=", spec, " is given twice"));
    Measured m{.label = spec, .metric = make_metric(spec)};
    m.names = m.metric->scores();
    m.sum.resize(static_cast<size_t>(m.metric->width()));
    metrics_.push_back(std::move(m));
  }
}

MetricNeeds Scorer::needs() const {
  MetricNeeds all{.hypothesis = false, .references = false, .empty_list = true};
  for (const Measured& m : metrics_) {
    const MetricNeeds needs = m.metric->needs();
    all.hypothesis |= needs.hypothesis;
    all.references |= needs.references;
    all.empty_list &= needs.empty_list || !needs.references;
    all.records |= needs.records;
    all.all_first |= needs.all_first;
  }
  return all;
}

void Scorer::measure(std::span<const ScoreExample> examples, ExampleReader& reader, bool keep_rows,
                     const Each& each) {
  for (size_t k = 0; k < metrics_.size(); ++k)
    batch_[k].resize(examples.size() * metrics_[k].sum.size());
  std::mutex lock;
  size_t faulty = examples.size();  // the first one
  std::string fault;
  std::optional<Span> span("score");
  if (span->recording())
    for (const ScoreExample& e : examples) span->add(0.0, static_cast<double>(bytes_of(e)));
  parallel_for(std::ssize(examples), 8, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) try {
        for (size_t k = 0; k < metrics_.size(); ++k) {
          if (!each && metrics_[k].metric->prepares_all()) continue;
          const size_t width = metrics_[k].sum.size();
          metrics_[k].metric->measure(examples[i], std::span(batch_[k]).subspan(i * width, width));
        }
      } catch (const DataError& e) {
        const std::lock_guard guard(lock);
        if (i >= faulty) continue;
        faulty = i;
        fault = e.what();
      }
  });
  span.reset();
  std::vector<std::vector<double>> scores(metrics_.size());
  for (size_t i = 0; i < examples.size(); ++i) {
    if (i == faulty) throw DataError(cat(reader.place_of(examples[i]), ": ", fault));
    for (size_t k = 0; k < metrics_.size(); ++k) {
      Measured& m = metrics_[k];
      const size_t width = m.sum.size();
      const auto row = std::span<const double>(batch_[k]).subspan(i * width, width);
      for (size_t j = 0; j < width; ++j) m.sum[j] += row[j];
      if (!each) continue;
      scores[k].assign(m.names.size(), 0.0);
      m.metric->from_row(row, scores[k]);
    }
    if (each) each(examples[i], scores);
  }
  for (size_t k = 0; k < metrics_.size(); ++k)
    if (keep_rows || !metrics_[k].metric->adds_up())
      metrics_[k].numbers.insert(metrics_[k].numbers.end(), batch_[k].begin(), batch_[k].end());
  examples_ += std::ssize(examples);
  if (examples_ > INT32_MAX) throw DataError("more examples than can be scored");
}

void Scorer::run(ExampleReader& reader, bool keep_rows, const Each& each) {
  std::vector<ScoreExample> batch;
  const auto next = [&](std::vector<ScoreExample>& to) {
    const Span span("parse");
    return reader.next(to);
  };
  if (!needs().all_first) {
    while (next(batch)) measure(batch, reader, keep_rows, each);
  } else {
    std::vector<ScoreExample> all;
    while (next(batch)) std::ranges::move(batch, std::back_inserter(all));
    const Span span("prepare scores");
    for (Measured& m : metrics_)
      if (m.metric->needs().all_first && !all.empty()) m.metric->prepare(all);
    for (size_t begin = 0; begin < all.size(); begin += kChunk)
      measure(std::span(all).subspan(begin, std::min(kChunk, all.size() - begin)), reader,
              keep_rows, each);
  }
  if (examples_ == 0) throw DataError(reader.name() + ": no predictions");
}

std::vector<double> Scorer::scores(const Measured& m) const {
  std::vector<double> scores(m.names.size());
  if (m.metric->adds_up()) {
    m.metric->from_sum(m.sum, examples_, scores);
    return scores;
  }
  std::vector<int32_t> all(static_cast<size_t>(examples_));
  std::iota(all.begin(), all.end(), 0);
  m.metric->from_rows(m.rows(), all, scores);
  return scores;
}

}  // namespace nibble
