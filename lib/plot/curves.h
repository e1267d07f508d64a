// SPDX-License-Identifier: Apache-2.0
// The metrics of one or several runs over their steps, as a figure: of one run the loss, raw,
// smoothed and validated in one panel; of several a colour a run and a panel a metric.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "plot/run_metrics.h"

namespace nibble {

enum class Abscissa : uint8_t { kStep, kEpoch, kTokens, kTime };

struct CurveOptions {
  std::vector<std::string> show;  // metrics; empty: all known ones that there are
  Abscissa x = Abscissa::kStep;
  double smoothing = -1.0;     // weight of the past, [0, 1); below 0: over 1/25 of the run
  Scale scale = Scale::kAuto;  // of what is not learning rate, speed or memory
  std::string title;           // empty: the run's name
};

/// Throws UsageError where no run has a metric of `show`, naming those that there are.
Figure draw_curves(std::span<const RunMetrics> runs, const CurveOptions& options);

/// The mean of a value and its neighbours on both sides, each weighing `weight` of the one before
/// it, so that a falling curve is not dragged behind; what is not finite is left out, and stays.
std::vector<double> smoothed(std::span<const double> values, double weight);

/// The line with at most about `most` points: least and greatest of every stretch stay, so that
/// peaks do.
void thin_out(Line& line, size_t most);

}  // namespace nibble
