// SPDX-License-Identifier: Apache-2.0
#include "model/rope_table.h"

#include <cmath>
#include <numbers>

namespace nibble {
namespace {

float scaled_frequency(const RopeConfig& c, float frequency) {
  if (c.scaling == RopeScaling::kLinear) return frequency / static_cast<float>(c.factor);
  if (c.scaling != RopeScaling::kLlama3) return frequency;
  const double original = static_cast<double>(c.original_max_position);
  const double wavelength = 2.0 * std::numbers::pi / static_cast<double>(frequency);
  if (wavelength < original / c.high_freq_factor) return frequency;
  const float divided = frequency / static_cast<float>(c.factor);
  if (wavelength > original / c.low_freq_factor) return divided;
  const double smooth =
      (original / wavelength - c.low_freq_factor) / (c.high_freq_factor - c.low_freq_factor);
  return static_cast<float>((1.0 - smooth) * static_cast<double>(divided) +
                            smooth * static_cast<double>(frequency));
}

}  // namespace

RopeTable make_rope_table(const RopeConfig& config, int64_t head_dim, int64_t positions) {
  RopeTable table{.positions = positions, .half = head_dim / 2};
  std::vector<float> frequency(static_cast<size_t>(table.half));
  for (int64_t d = 0; d < table.half; ++d) {
    const double exponent = static_cast<double>(2 * d) / static_cast<double>(head_dim);
    frequency[static_cast<size_t>(d)] =
        scaled_frequency(config, static_cast<float>(1.0 / std::pow(config.theta, exponent)));
  }
  table.cos.reserve(static_cast<size_t>(positions * table.half));
  table.sin.reserve(static_cast<size_t>(positions * table.half));
  for (int64_t p = 0; p < positions; ++p)
    for (const float f : frequency) {
      const float angle = static_cast<float>(p) * f;
      table.cos.push_back(std::cos(angle));
      table.sin.push_back(std::sin(angle));
    }
  return table;
}

void place_rope_table(RopeTable& table, Arena& arena) {
  if (!arena.device().on_cuda()) return;
  const Tensor cos = arena.take(Dtype::kF32, {table.positions, table.half});
  const Tensor sin = arena.take(Dtype::kF32, {table.positions, table.half});
  if (arena.measuring()) return;
  copy(cos, view(table.cos.data(), {table.positions, table.half}));
  copy(sin, view(table.sin.data(), {table.positions, table.half}));
  synchronize();
  table.device_cos = cos;
  table.device_sin = sin;
}

}  // namespace nibble
