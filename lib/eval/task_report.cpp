// SPDX-License-Identifier: Apache-2.0
#include "eval/task_report.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/rng.h"
#include "eval/task_metrics.h"

namespace nibble {
namespace {

using Picks = std::vector<int32_t>;

// One metric's rows for all records of a task.
class Measured {
 public:
  Measured(const std::string& spec, const std::vector<Json>& records)
      : Measured(make_task_metric(spec), records) {}
  Measured(TaskMetric metric, const std::vector<Json>& records)
      : metric_(std::move(metric.metric)), only_(metric.only), names_(metric_->scores()) {
    std::vector<ScoreExample> examples;
    for (const Json& record : records) examples.push_back(scored_example(record));
    if (metric_->needs().all_first) metric_->prepare(examples);
    const auto width = static_cast<size_t>(metric_->width());
    numbers_.resize(examples.size() * width);
    for (size_t i = 0; i < examples.size(); ++i) try {
        metric_->measure(examples[i], std::span(numbers_).subspan(i * width, width));
      } catch (const DataError& e) {
        throw DataError(cat("example ", records[i].at("example").as_integer(), ": ", e.what()));
      }
  }

  const std::vector<ScoreName>& names() const { return names_; }
  bool shown(size_t score) const {
    return only_.empty() ? !names_[score].detail : names_[score].name == only_;
  }
  std::vector<double> scores(std::span<const int32_t> picks) const {
    std::vector<double> out(names_.size());
    metric_->from_rows({numbers_, metric_->width()}, picks, out);
    return out;
  }
  std::vector<double> errors(const Picks& picks, const ReportOptions& o) const {
    const auto n = static_cast<double>(picks.size());
    std::vector<double> sum(names_.size()), squares(names_.size());
    std::vector<double> one(names_.size());
    const auto add = [&](const std::vector<double>& x) {
      for (size_t i = 0; i < x.size(); ++i) {
        sum[i] += x[i];
        squares[i] += x[i] * x[i];
      }
    };
    const auto deviation = [](double total, double square, double count) {
      return std::sqrt(std::max(0.0, square - total * total / count) / (count - 1));
    };
    std::vector<double> out(names_.size(), std::nan(""));
    if (picks.size() < 2) return out;
    if (dynamic_cast<const MeanMetric*>(metric_.get())) {
      for (const int32_t pick : picks) add(scores({&pick, 1}));
      for (size_t i = 0; i < out.size(); ++i)
        out[i] = deviation(sum[i], squares[i], n) / std::sqrt(n);
    } else if (metric_->resamples()) {
      Picks drawn(picks.size());
      for (int64_t s = 0; s < o.samples; ++s) {
        resample(picks, o.seed, s, drawn);
        add(scores(drawn));
      }
      const auto count = static_cast<double>(o.samples);
      for (size_t i = 0; i < out.size(); ++i) out[i] = deviation(sum[i], squares[i], count);
    }
    return out;
  }

  // The same draws for every metric and both sides of a comparison.
  static void resample(const Picks& picks, uint64_t seed, int64_t sample, Picks& out) {
    Rng rng(seed, static_cast<uint64_t>(RngStream::kSample) | static_cast<uint64_t>(sample + 1)
                                                                  << 8);
    for (int32_t& pick : out) pick = picks[rng.below(picks.size())];
  }

 private:
  std::unique_ptr<Metric> metric_;
  std::string only_;
  std::vector<ScoreName> names_;
  std::vector<double> numbers_;
};

Json number(double x) {
  return std::isfinite(x) ? Json(x) : Json();
}

// "acc", or "rouge.rouge1_f" where the metric has several scores or another name.
std::string full_name(const std::string& spec, const std::vector<ScoreName>& names, size_t i) {
  if ((names.size() == 1 && names[0].name == spec) || spec.find('/') != std::string::npos)
    return names[i].name;
  return cat(std::string_view(spec).substr(0, spec.find(':')), ".", names[i].name);
}

std::vector<Measured> measure_all(const Json& settings, const std::vector<Json>& records) {
  std::vector<Measured> out;
  for (const Json& spec : settings.at("metrics").as_array())
    out.emplace_back(spec.as_string(), records);
  return out;
}

Json metrics_json(const Json& settings, const std::vector<Measured>& all, const Picks& picks,
                  const ReportOptions& o) {
  Json out = Json::object();
  for (size_t m = 0; m < all.size(); ++m) {
    const auto values = all[m].scores(picks), errors = all[m].errors(picks, o);
    for (size_t i = 0; i < values.size(); ++i) {
      if (!all[m].shown(i)) continue;
      out.set(full_name(settings.at("metrics").as_array()[m].as_string(), all[m].names(), i),
              Json::object({{"value", number(values[i])}, {"error", number(errors[i])}}));
    }
  }
  return out;
}

Json part_json(const Json& settings, const std::vector<Measured>& all, const Picks& picks,
               const ReportOptions& o) {
  return Json::object(
      {{"examples", std::ssize(picks)}, {"metrics", metrics_json(settings, all, picks, o)}});
}

std::vector<std::string> tags_of(const Json& value) {
  std::vector<std::string> out;
  if (value.is_array())
    for (const Json& item : value.as_array())
      out.push_back(item.is_string() ? item.as_string() : item.dump());
  else
    out.push_back(value.is_string() ? value.as_string() : value.dump());
  return out;
}

}  // namespace

Json task_settings(const Json& head, const std::string& task) {
  for (const Json& t : head.at("tasks").as_array())
    if (t.at("name").as_string() == task) return t;
  throw DataError(cat("the head names no task \"", task, "\""));
}

Json report_task(const Json& settings, const std::vector<Json>& records, const ReportOptions& o) {
  const auto all = measure_all(settings, records);
  Picks every(records.size());
  std::iota(every.begin(), every.end(), 0);
  std::map<std::string, Picks> groups;
  std::map<std::string, std::map<std::string, Picks>> tags;
  int64_t truncated = 0;
  for (const int32_t i : every) {
    const Json& record = records[static_cast<size_t>(i)];
    truncated += record.find("truncated") != nullptr;
    if (const Json* group = record.find("group")) groups[group->as_string()].push_back(i);
    if (const Json* members = record.find("tags"))
      for (const auto& [member, value] : members->as_object())
        for (const std::string& tag : tags_of(value)) tags[member][tag].push_back(i);
  }
  Json out = part_json(settings, all, every, o);
  if (truncated > 0) out.set("truncated", truncated);
  if (!groups.empty()) {
    Json parts = Json::object();
    std::map<std::string, double> sums;
    for (const auto& [group, picks] : groups) {
      Json part = part_json(settings, all, picks, o);
      for (const auto& [name, metric] : part.at("metrics").as_object())
        if (!metric.at("value").is_null()) sums[name] += metric.at("value").as_number();
      parts.set(group, std::move(part));
    }
    Json means = Json::object();
    for (const auto& [name, sum] : sums) means.set(name, sum / static_cast<double>(groups.size()));
    out.set("group_mean", std::move(means));
    out.set("groups", std::move(parts));
  }
  if (!tags.empty()) {
    Json members = Json::object();
    for (const auto& [member, by] : tags) {
      Json parts = Json::object();
      for (const auto& [tag, picks] : by) parts.set(tag, part_json(settings, all, picks, o));
      members.set(member, std::move(parts));
    }
    out.set("tags", std::move(members));
  }
  return out;
}

namespace {

// Both logs' records of the examples that both have, in the same order.
std::pair<std::vector<Json>, std::vector<Json>> in_common(const std::vector<Json>& a,
                                                          const std::vector<Json>& b) {
  std::pair<std::vector<Json>, std::vector<Json>> out;
  const auto number = [](const Json& r) { return r.at("example").as_integer(); };
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    const int64_t x = number(a[i]), y = number(b[j]);
    if (x == y) {
      out.first.push_back(a[i]);
      out.second.push_back(b[j]);
    }
    i += x <= y;
    j += y <= x;
  }
  return out;
}

double percentile(std::vector<double>& sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<size_t>(at);
  const double part = at - static_cast<double>(low);
  return part > 0 ? sorted[low] * (1 - part) + sorted[low + 1] * part : sorted[low];
}

Json compare_metric(const Measured& before, const Measured& after, size_t score, size_t examples,
                    const ReportOptions& o) {
  Picks every(examples), drawn(examples);
  std::iota(every.begin(), every.end(), 0);
  const double x = before.scores(every)[score], y = after.scores(every)[score];
  std::vector<double> differences;
  for (int64_t s = 0; s < o.samples; ++s) {
    Measured::resample(every, o.seed, s, drawn);
    const double d = after.scores(drawn)[score] - before.scores(drawn)[score];
    if (std::isfinite(d)) differences.push_back(d);
  }
  std::ranges::sort(differences);
  Json out =
      Json::object({{"before", number(x)}, {"after", number(y)}, {"difference", number(y - x)}});
  out.set("low", differences.empty() ? Json() : Json(percentile(differences, 0.025)));
  out.set("high", differences.empty() ? Json() : Json(percentile(differences, 0.975)));
  return out;
}

}  // namespace

Json compare_logs(const std::string& before, const std::string& after, const ReportOptions& o) {
  const TaskLogContents a = read_task_log(before), b = read_task_log(after);
  Json tasks = Json::object();
  for (const auto& [name, records] : a.records) {
    const auto other = b.records.find(name);
    if (other == b.records.end()) continue;
    const Json settings = task_settings(a.head, name);
    if (const Json theirs = task_settings(b.head, name); !(settings == theirs))
      throw DataError(cat(before, " and ", after, ": ", name,
                          " was not asked alike: ", settings.dump(), " and ", theirs.dump()));
    const auto [x, y] = in_common(records, other->second);
    if (x.empty())
      throw DataError(cat(before, " and ", after, ": no example of ", name, " is in both"));
    for (size_t i = 0; i < x.size(); ++i)
      for (const char* same : {"prompt", "choices", "references"})
        if (const Json* p = x[i].find(same), *q = y[i].find(same); !p != !q || (p && !(*p == *q)))
          throw DataError(cat(before, " and ", after, ": example ", x[i].at("example").as_integer(),
                              " of ", name, " has not the same \"", same, "\""));
    const auto first = measure_all(settings, x), second = measure_all(settings, y);
    Json metrics = Json::object();
    for (size_t m = 0; m < first.size(); ++m)
      for (size_t i = 0; i < first[m].names().size(); ++i)
        if (first[m].shown(i))
          metrics.set(
              full_name(settings.at("metrics").as_array()[m].as_string(), first[m].names(), i),
              compare_metric(first[m], second[m], i, x.size(), o));
    tasks.set(name, Json::object({{"examples", std::ssize(x)}, {"metrics", metrics}}));
  }
  if (tasks.as_object().empty())
    throw DataError(cat(before, " and ", after, ": no task is in both"));
  return Json::object({{"before", before}, {"after", after}, {"tasks", tasks}});
}

}  // namespace nibble
