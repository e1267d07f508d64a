// SPDX-License-Identifier: Apache-2.0
// Learning rate by step. Warm-up rises linearly from 0; then, with p the share of the remaining
// steps that is done and f the floor as a share of the peak:
//   constant  1
//   linear    1 - (1-f) p
//   cosine    f + (1-f) (1 + cos(pi p)) / 2            (Loshchilov & Hutter 2017)
//   wsd       1 until the last decay share, then linear to f (warmup-stable-decay, Hu et al. 2024)
// With f = 0 these are transformers' get_*_schedule_with_warmup.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace nibble {

struct Schedule {
  enum class Form : uint8_t { kConstant, kLinear, kCosine, kWsd } form = Form::kCosine;
  double peak = 0.0;
  int64_t warmup_steps = 0, total_steps = 0;
  double decay_share = 0.2, floor = 0.0;

  /// The rate of the update that makes step `step`, counted from 1.
  double rate(int64_t step) const;
};

/// Throws UsageError naming the option. `warmup` is a share of total_steps ("0.03", rounded up) or
/// a number of steps ("100steps").
Schedule make_schedule(std::string_view form, double peak, const std::string& warmup,
                       int64_t total_steps, double decay_share, double floor);

}  // namespace nibble
