// SPDX-License-Identifier: Apache-2.0
#include "train/optimizer.h"

#include <functional>

namespace nibble {
namespace {

Tensor array(const OptimizerState& state, std::string_view name) {
  for (const StateArray& a : state)
    if (a.name == name) return a.tensor;
  return {};
}

}  // namespace

Optimizer::Optimizer(const OptimizerOptions& options, const ParameterSet& parameters, Arena& arena)
    : options_(options),
      kind_(options.name == "sgd"          ? Kind::kSgd
            : options.name == "adamw-8bit" ? Kind::kAdamW8bit
                                           : Kind::kAdamW),
      parameters_(parameters),
      segments_(parameters.segments(static_cast<float>(options.weight_decay))) {
  if (options.paged && arena.device().on_cuda())
    pager_ = std::make_unique<StatePager>(options, parameters, arena);
  else
    state_ = take_optimizer_state(arena, options, parameters);
  clip_factors_ = take_clip_factors(arena);
  if (!arena.measuring()) reset();
}

void Optimizer::reset() {
  if (pager_) return pager_->reset();
  for (const StateArray& a : state_) zero(a.tensor);
}

void Optimizer::prefetch() {
  if (pager_) pager_->prefetch();
}

void Optimizer::update(const Part& p, const Factors& f) const {
  const auto of_part = [&](auto op) {
    op.values = p.values;
    op.gradients = p.gradients;
    op.segments = p.segments;
    op.learning_rate = f.learning_rate;
    op.clip = clip_factors_.clip;
    op.step = f.step;
    return op;
  };
  const auto of_adam = [&](auto op) {
    op.beta1 = options_.beta1;
    op.beta2 = options_.beta2;
    op.epsilon = options_.epsilon;
    return of_part(op);
  };
  switch (kind_) {
    case Kind::kAdamW:
      return adamw(of_adam(AdamW{.m = array(p.state, "m"), .v = array(p.state, "v")}));
    case Kind::kAdamW8bit:
      return adamw8bit(of_adam(AdamW8bit{.m_codes = array(p.state, "m_codes"),
                                         .v_codes = array(p.state, "v_codes"),
                                         .m_absmax = array(p.state, "m_absmax"),
                                         .v_absmax = array(p.state, "v_absmax"),
                                         .m_small = array(p.state, "m_small"),
                                         .v_small = array(p.state, "v_small")}));
    case Kind::kSgd:
      return sgd(of_part(Sgd{.momentum = array(p.state, "momentum"), .beta = options_.momentum}));
  }
}

double Optimizer::gradient_norm() const {
  float norm = 0.0f;
  copy(view(&norm, {1}), clip_factors_.norm);
  synchronize();
  return static_cast<double>(norm);
}

void Optimizer::update(int64_t step, double learning_rate, double max_norm) {
  const Factors factors = {step, learning_rate};
  const Tensor values = parameters_.values(), gradients = parameters_.gradients();
  l2_norm(
      {.in = gradients, .norm = clip_factors_.norm, .clip = clip_factors_.clip, .limit = max_norm});
  if (pager_) {
    const auto body = [&](const StatePage& page, const OptimizerState& state) {
      const auto part = [&](const Tensor& t) {
        return rows(t, page.first.elements, page.size.elements);
      };
      update({part(values), part(gradients), page.segments, state}, factors);
    };
    pager_->for_pages(std::cref(body));
  } else {
    update({values, gradients, segments_, state_}, factors);
  }
  parameters_.refresh();
}

}  // namespace nibble
