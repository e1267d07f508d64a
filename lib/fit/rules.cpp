// SPDX-License-Identifier: Apache-2.0
#include "fit/rules.h"

#include <algorithm>
#include <cmath>

namespace nibble {
namespace {

constexpr double kServingOverhead = 1.2, kAdamFactor = 4.0, kTrainedBytes = 16.0;

}  // namespace

double rule_serving_bytes(double parameters, double bits) {
  return parameters * 4.0 / (32.0 / bits) * kServingOverhead;
}

TrainingRule rule_training32(double parameters) {
  return {.weights = 4.0 * parameters, .total = 24.0 * parameters, .most = 80.0 * parameters};
}

FineTuningRule rule_fine_tuning16(double parameters) {
  return {.full = 12.0 * parameters, .lora = 4.0 * parameters};
}

double rule_lora_parameters(double parameters, double rank) {
  return 2.0 * rank * std::sqrt(parameters);
}

std::vector<CanItRunRow> can_it_run(double parameters, double trained_share) {
  std::vector<CanItRunRow> rows;
  const auto add = [&](const char* type, double bytes) {
    const double size = parameters * bytes;
    rows.push_back({type, size, size * kServingOverhead, size * kAdamFactor,
                    (size + parameters * trained_share * kTrainedBytes) * kServingOverhead});
  };
  add("float32", 4.0);
  add("16 bits", 2.0);
  add("int8", 1.0);
  add("int4", 0.5);
  return rows;
}

int64_t devices_for(double bytes, double device_bytes) {
  return std::max<int64_t>(1, static_cast<int64_t>(std::ceil(bytes / device_bytes)));
}

std::optional<PublishedFigure> published_figure(int64_t parameters) {
  constexpr PublishedFigure kMistral{"Mistral-7B", 7'241'732'096, "float32", 27.49e9};
  if (parameters == kMistral.parameters) return kMistral;
  return std::nullopt;
}

}  // namespace nibble
