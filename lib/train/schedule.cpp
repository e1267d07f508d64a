// SPDX-License-Identifier: Apache-2.0
#include "train/schedule.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace nibble {

double Schedule::rate(int64_t step) const {
  // The first update happens at progress 0 of the schedule, as in transformers.
  const int64_t done = step - 1;
  if (done < warmup_steps)
    return peak * static_cast<double>(done) /
           static_cast<double>(std::max<int64_t>(1, warmup_steps));
  const double span = static_cast<double>(std::max<int64_t>(1, total_steps - warmup_steps));
  const double p = std::min(1.0, static_cast<double>(done - warmup_steps) / span);
  switch (form) {
    case Form::kConstant:
      return peak;
    case Form::kLinear:
      return peak * (1.0 - (1.0 - floor) * p);
    case Form::kCosine:
      return peak * (floor + (1.0 - floor) * 0.5 * (1.0 + std::cos(std::numbers::pi * p)));
    case Form::kWsd: {
      const double stable = (static_cast<double>(total_steps) * (1.0 - decay_share) -
                             static_cast<double>(warmup_steps)) /
                            span;
      if (p <= stable) return peak;
      return peak * (1.0 - (1.0 - floor) * (p - stable) / (1.0 - stable));
    }
  }
  return peak;
}

Schedule make_schedule(std::string_view form, double peak, const std::string& warmup,
                       int64_t total_steps, double decay_share, double floor) {
  Schedule s{.peak = peak, .total_steps = total_steps, .decay_share = decay_share, .floor = floor};
  if (form == "constant")
    s.form = Schedule::Form::kConstant;
  else if (form == "linear")
    s.form = Schedule::Form::kLinear;
  else if (form == "cosine")
    s.form = Schedule::Form::kCosine;
  else if (form == "wsd")
    s.form = Schedule::Form::kWsd;
  else
    throw UsageError(cat("--schedule=", form, ": not one of linear, cosine, constant, wsd"));
  double value = 0;
  const auto [end, error] = std::from_chars(warmup.data(), warmup.data() + warmup.size(), value);
  const std::string_view unit(end, static_cast<size_t>(warmup.data() + warmup.size() - end));
  if (error == std::errc() && unit == "steps" && value >= 0 && value == std::floor(value))
    s.warmup_steps = static_cast<int64_t>(value);
  else if (error == std::errc() && unit.empty() && value >= 0 && value < 1)
    s.warmup_steps = static_cast<int64_t>(std::ceil(value * static_cast<double>(total_steps)));
  else
    throw UsageError(cat("--warmup=", warmup,
                         ": not a share of the steps below 1 (0.03) nor a number (100steps)"));
  return s;
}

}  // namespace nibble
