// SPDX-License-Identifier: Apache-2.0
// Rules of thumb: estimates that people quote, by the number of parameters alone. They are shown
// beside the plan and never used in its place. GB is 10^9 bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nibble {

/// Serving: M = P x 4 bytes / (32 / Q) x 1.2, with Q bits a parameter; the fifth on top is for
/// activations and cache.
double rule_serving_bytes(double parameters, double bits);

/// Training at 32 bits: 4 bytes a parameter for the weight, and about 20 more: Adam 8, gradients 4,
/// activations and temporary memory 8; up to 80 with all overheads.
struct TrainingRule {
  double weights, total, most;
};
TrainingRule rule_training32(double parameters);

/// Fine-tuning in 16 bits: weights 2, gradients 2 and Adam 8 bytes a parameter in full; with LoRA,
/// whose gradients and states are small, weights 2 and about 2 for everything else.
struct FineTuningRule {
  double full, lora;
};
FineTuningRule rule_fine_tuning16(double parameters);

/// Trainable numbers of LoRA where every weight were one square matrix of P numbers: 2 r sqrt(P).
double rule_lora_parameters(double parameters, double rank);

/// The can-it-run table: a row for each type of the weights.
struct CanItRunRow {
  std::string type;                    // float32, 16 bits, int8, int4
  double size, inference, adam, lora;  // bytes
};
/// size: P times the type's bytes; inference: x 1.2; training with Adam: x 4. LoRA: (size + share
/// of P that is trained x 16 bytes) x 1.2, a trained number with what mixed-precision Adam keeps of
/// it (2 + 2 + 12 bytes: Rajbhandari et al. 2020, ZeRO), and the fifth that inference adds.
std::vector<CanItRunRow> can_it_run(double parameters, double trained_share);
/// Devices of that many bytes that a need takes, at least 1.
int64_t devices_for(double bytes, double device_bytes);

/// What a published table says of a model, where it differs from the sum of its weights.
struct PublishedFigure {
  std::string_view model;
  int64_t parameters;
  std::string_view type;
  double size;  // bytes, as printed there
};
/// Mistral-7B in float32: 27.49 GB in the table that Hugging Face's memory estimator and its
/// can-it-run page print, though 7,241,732,096 numbers of 4 bytes are 28.97 GB (26.98 GiB).
std::optional<PublishedFigure> published_figure(int64_t parameters);

}  // namespace nibble
