// SPDX-License-Identifier: Apache-2.0
#include "train/optimizer.h"

namespace nibble {

Optimizer::Optimizer(const OptimizerOptions& options, const ParameterSet& parameters, Arena& arena)
    : options_(options),
      kind_(options.name == "sgd"          ? Kind::kSgd
            : options.name == "adamw-8bit" ? Kind::kAdamW8bit
                                           : Kind::kAdamW),
      parameters_(parameters),
      segments_(parameters.segments(static_cast<float>(options.weight_decay))),
      state_(take_optimizer_state(arena, options, parameters)) {
  if (arena.measuring()) return;
  reset();
  clip_memory_ = DeviceMemory(2 * sizeof(float), arena.device());
  const Tensor both = make_tensor(clip_memory_.data(), Dtype::kF32, {2}, arena.device());
  clip_ = rows(both, 0, 1);
  norm_ = rows(both, 1, 1);
}

Tensor Optimizer::state(std::string_view name) const {
  for (const auto& [key, tensor] : state_)
    if (key == name) return tensor;
  return {};
}

AdamW8bit Optimizer::adamw8bit_op() const {
  return {.values = parameters_.values(),
          .gradients = parameters_.gradients(),
          .m_codes = state("m_codes"),
          .v_codes = state("v_codes"),
          .m_absmax = state("m_absmax"),
          .v_absmax = state("v_absmax"),
          .m_small = state("m_small"),
          .v_small = state("v_small"),
          .segments = segments_,
          .beta1 = static_cast<float>(options_.beta1),
          .beta2 = static_cast<float>(options_.beta2),
          .epsilon = static_cast<float>(options_.epsilon),
          .clip = clip_};
}

void Optimizer::reset() {
  for (const auto& [name, tensor] : state_) zero(tensor);
  if (kind_ == Kind::kAdamW8bit) adamw8bit_reset(adamw8bit_op());
}

double Optimizer::gradient_norm() const {
  float norm = 0.0f;
  copy(view(&norm, {1}), norm_);
  synchronize();
  return static_cast<double>(norm);
}

void Optimizer::update(int64_t step, double learning_rate, double max_norm) {
  const auto rate = static_cast<float>(learning_rate);
  l2_norm({.in = parameters_.gradients(), .norm = norm_, .clip = clip_, .limit = max_norm});
  switch (kind_) {
    case Kind::kAdamW:
      adamw({.values = parameters_.values(),
             .gradients = parameters_.gradients(),
             .m = state("m"),
             .v = state("v"),
             .segments = segments_,
             .learning_rate = rate,
             .beta1 = static_cast<float>(options_.beta1),
             .beta2 = static_cast<float>(options_.beta2),
             .epsilon = static_cast<float>(options_.epsilon),
             .clip = clip_,
             .step = step});
      break;
    case Kind::kAdamW8bit: {
      AdamW8bit op = adamw8bit_op();
      op.learning_rate = rate;
      op.step = step;
      adamw8bit(op);
      break;
    }
    case Kind::kSgd:
      sgd({.values = parameters_.values(),
           .gradients = parameters_.gradients(),
           .momentum = state("momentum"),
           .segments = segments_,
           .learning_rate = rate,
           .beta = static_cast<float>(options_.momentum),
           .clip = clip_,
           .step = step});
      break;
  }
  parameters_.refresh();
}

}  // namespace nibble
