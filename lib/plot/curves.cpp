// SPDX-License-Identifier: Apache-2.0
#include "plot/curves.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/quote.h"
#include "plot/ticks.h"

namespace nibble {
namespace {

constexpr size_t kMostPoints = 2000;
constexpr size_t kMostRaw = 4;  // runs whose every step is shown

// Steps as the chosen abscissa, by the run's own records.
class Clock {
 public:
  Clock(const RunMetrics& run, Abscissa x) : x_(x) {
    if (x == Abscissa::kStep) return;
    const Curve* tokens = run.find("tokens");
    const Curve* speed = run.find("tokens_per_second");
    const Curve* epoch = run.find("epoch");
    const Curve* basis = x == Abscissa::kEpoch ? epoch : tokens;
    if (!basis || (x == Abscissa::kTime && !speed))
      throw DataError(cat(run.path, ": does not tell ", x == Abscissa::kEpoch ? "epochs" : "tokens",
                          "; use --x=step"));
    double sum = 0;
    for (size_t i = 0, k = 0; i < basis->steps.size(); ++i) {
      double value = basis->values[i];
      if (x == Abscissa::kTime) {
        while (k + 1 < speed->steps.size() && speed->steps[k] < basis->steps[i]) ++k;
        value /= speed->values[k];
      }
      if (!std::isfinite(value)) value = 0;
      sum = x == Abscissa::kEpoch ? value : sum + value;
      steps_.push_back(basis->steps[i]);
      at_.push_back(x == Abscissa::kTime ? sum / 60 : sum);
    }
  }
  double at(double step) const {
    if (x_ == Abscissa::kStep) return step;
    const auto next = std::lower_bound(steps_.begin(), steps_.end(), step);
    if (next == steps_.end()) return at_.empty() ? step : at_.back();
    return at_[static_cast<size_t>(next - steps_.begin())];
  }

 private:
  Abscissa x_;
  std::vector<double> steps_, at_;
};

Axis axis_of(Abscissa x) {
  switch (x) {
    case Abscissa::kEpoch:
      return {.title = "epoch"};
    case Abscissa::kTime:
      return {.title = "minutes of training"};
    case Abscissa::kTokens:
      return {.title = "tokens"};
    default:
      return {.title = "step", .integer = true};
  }
}

std::vector<std::string> metrics_to_show(std::span<const RunMetrics> runs,
                                         const CurveOptions& options) {
  const auto has = [&](const std::string& name) {
    return std::any_of(runs.begin(), runs.end(), [&](const auto& r) { return r.find(name); });
  };
  std::vector<std::string> out;
  for (const Metric& m : known_metrics())
    if (options.show.empty() && has(m.name)) out.push_back(m.name);
  for (const std::string& name : options.show) {
    if (!has(name)) {
      std::string there;
      for (const auto& [known, curve] : runs[0].curves)
        if (there.size() < 120) there += (there.empty() ? "" : ", ") + known;
      throw UsageError(cat("--show: ", quote(name), " is no metric of ",
                           runs.size() == 1 ? "the run; it has " : "these runs; they have ",
                           there));
    }
    out.push_back(name);
  }
  // Files of others may have none of the known ones.
  if (out.empty())
    for (const auto& [name, curve] : runs[0].curves)
      if (out.size() < 6) out.push_back(name);
  return out;
}

class Curves {
 public:
  Curves(std::span<const RunMetrics> runs, const CurveOptions& options)
      : runs_(runs), options_(options) {
    for (const RunMetrics& run : runs) clocks_.emplace_back(run, options.x);
  }

  LinePanel panel(const Metric& metric) const {
    LinePanel out = {.title = metric.title, .x = axis_of(options_.x), .y = metric.axis};
    if (out.y.scale == Scale::kAuto) out.y.scale = options_.scale;
    for (size_t i = 0; i < runs_.size(); ++i) add(out, i, metric);
    return out;
  }

 private:
  bool single() const { return runs_.size() == 1; }

  Line line(size_t run, const Curve& curve, std::vector<double> values, int colour) const {
    Line out = {.x = {}, .y = std::move(values), .colour = colour};
    for (const double step : curve.steps) out.x.push_back(clocks_[run].at(step));
    thin_out(out, kMostPoints);
    return out;
  }

  void add(LinePanel& panel, size_t run, const Metric& metric) const {
    const Curve* curve = runs_[run].find(metric.name);
    const int colour = single() ? 0 : static_cast<int>(run);
    if (!curve) return;
    Line raw = line(run, *curve, curve->values, colour);
    const double window = static_cast<double>(curve->values.size()) / 50.0;  // to either side
    const double weight = options_.smoothing >= 0 ? options_.smoothing
                          : window > 1            ? std::min(1.0 - 1.0 / window, 0.995)
                                                  : 0.0;
    const bool noisy = metric.name == "loss" || metric.name == "grad_norm" ||
                       metric.name == "tokens_per_second" || options_.smoothing > 0;
    if (metric.name == "validation_loss") {
      raw.stroke = Stroke::kPoints;
    } else if (noisy && weight > 0) {
      raw.stroke = Stroke::kFaint;
      if (single()) raw.name = "every step";
      if (runs_.size() <= kMostRaw) panel.lines.push_back(raw);
      raw = line(run, *curve, smoothed(curve->values, weight), colour);
      if (single()) raw.name = "smoothed";
    } else if (single() && metric.name == runs_[run].planned_metric() &&
               runs_[run].planned_bytes() > 0) {
      raw.name = "measured";
    }
    panel.lines.push_back(std::move(raw));
    if (single()) add_company(panel, metric);
  }

  // What belongs to the one run's panel besides.
  void add_company(LinePanel& panel, const Metric& metric) const {
    const Curve* valid = runs_[0].find("validation_loss");
    if (metric.name == "loss" && valid && options_.show.empty()) {
      Line points = line(0, *valid, valid->values, 1);
      points.name = "validation";
      points.stroke = Stroke::kPoints;
      panel.lines.push_back(std::move(points));
    }
    const auto planned = static_cast<double>(runs_[0].planned_bytes());
    if (metric.name == runs_[0].planned_metric() && planned > 0) {
      const Line& measured = panel.lines.back();
      if (measured.x.empty()) return;
      panel.lines.push_back({.name = "planned: " + short_bytes(planned),
                             .x = {measured.x.front(), measured.x.back()},
                             .y = {planned, planned},
                             .colour = 1,
                             .stroke = Stroke::kDashed});
    }
  }

  std::span<const RunMetrics> runs_;
  const CurveOptions& options_;
  std::vector<Clock> clocks_;
};

}  // namespace

std::vector<double> smoothed(std::span<const double> values, double weight) {
  std::vector<double> sums(values.size(), 0.0), masses(values.size(), 0.0), out;
  // Each side's sum goes on from its neighbour's; the value itself is in both.
  const auto side = [&](auto order) {
    double sum = 0.0, mass = 0.0;
    for (size_t n = 0; n < values.size(); ++n) {
      const size_t i = order(n);
      if (!std::isfinite(values[i])) continue;
      sum = weight * sum + values[i];
      mass = weight * mass + 1.0;
      sums[i] += sum;
      masses[i] += mass;
    }
  };
  side([](size_t n) { return n; });
  side([&](size_t n) { return values.size() - 1 - n; });
  for (size_t i = 0; i < values.size(); ++i)
    out.push_back(std::isfinite(values[i]) ? (sums[i] - values[i]) / (masses[i] - 1.0) : values[i]);
  return out;
}

void thin_out(Line& line, size_t most) {
  const size_t count = std::min(line.x.size(), line.y.size());
  const size_t buckets = std::max<size_t>(most / 2, 1);
  if (count <= 2 * buckets) return;
  std::vector<double> x = {line.x[0]}, y = {line.y[0]};  // it begins and ends where it did
  for (size_t b = 0; b < buckets; ++b) {
    const size_t begin = b * count / buckets, end = (b + 1) * count / buckets;
    size_t low = begin, high = begin;
    bool gap = false;
    for (size_t i = begin; i < end; ++i) {
      if (!std::isfinite(line.y[i])) {
        gap = true;
        continue;
      }
      if (!(line.y[i] >= line.y[low])) low = i;
      if (!(line.y[i] <= line.y[high])) high = i;
    }
    for (const size_t i : {std::min(low, high), std::max(low, high)}) {
      if (i == high && low == high && !x.empty() && x.back() == line.x[i]) continue;
      x.push_back(line.x[i]);
      y.push_back(line.y[i]);
    }
    if (gap) {
      x.push_back(line.x[end - 1]);
      y.push_back(std::nan(""));
    }
  }
  x.push_back(line.x[count - 1]);
  y.push_back(line.y[count - 1]);
  line.x = std::move(x);
  line.y = std::move(y);
}

Figure draw_curves(std::span<const RunMetrics> runs, const CurveOptions& options) {
  CHECK(!runs.empty());
  const auto show = metrics_to_show(runs, options);
  const Curves curves(runs, options);
  Figure figure = {.title = options.title};
  if (figure.title.empty())
    figure.title = runs.size() == 1 ? runs[0].name : cat(runs.size(), " runs");
  if (runs.size() == 1) {
    if (const Json* command = runs[0].run.find("command"); command && command->is_string())
      figure.subtitle = command->as_string();
  } else {
    for (size_t i = 0; i < runs.size(); ++i)
      figure.legend.emplace_back(runs[i].name, static_cast<int>(i));
  }
  for (const std::string& name : show) {
    // With one run validation is drawn beside the loss.
    const bool beside = runs.size() == 1 && name == "validation_loss" && options.show.empty() &&
                        runs[0].find("loss");
    if (!beside) figure.panels.push_back(curves.panel(metric_of(name)));
  }
  if (figure.panels.empty())
    throw DataError(cat(runs[0].path, ": no number to draw; is it what nibble-train writes with ",
                        "--metrics?"));
  return figure;
}

}  // namespace nibble
