// SPDX-License-Identifier: Apache-2.0
#include "model/parameters.h"

#include "base/checked.h"
#include "kernels/elementwise.h"

namespace nibble {

int ParameterSet::add(std::string name, std::vector<int64_t> shape, bool decays) {
  CHECK(!storage_.values && (shape.size() == 1 || shape.size() == 2));
  Parameter p{.name = std::move(name), .shape = std::move(shape), .decays = decays};
  p.begin = extent_;
  p.count = 1;
  for (const int64_t d : p.shape) p.count *= d;
  extent_ = round_up<int64_t>(p.begin + p.count, 16);
  parameters_.push_back(std::move(p));
  return static_cast<int>(parameters_.size()) - 1;
}

ParameterSet::Storage ParameterSet::take(Arena& arena, Dtype compute, bool with_gradients) const {
  Storage s;
  s.values = arena.take(Dtype::kF32, {extent_});
  if (with_gradients) s.gradients = arena.take(Dtype::kF32, {extent_});
  s.compute = compute == Dtype::kF32 ? s.values : arena.take(compute, {extent_});
  return s;
}

size_t ParameterSet::bytes(Dtype compute, bool with_gradients) const {
  Arena measure;
  take(measure, compute, with_gradients);
  return measure.peak();
}

void ParameterSet::lay_out(Arena& arena, Dtype compute, bool with_gradients) {
  storage_ = take(arena, compute, with_gradients);
  // The gaps are never written again. Memory of the CPU is zero as it comes.
  if (!arena.measuring() && arena.device().on_cuda()) {
    zero(storage_.values);
    if (with_gradients) zero(storage_.gradients);
  }
}

Arena ParameterSet::lay_out(Device device, Dtype compute, bool with_gradients) {
  return make_arena(device, [&](Arena& a) { lay_out(a, compute, with_gradients); });
}

int64_t ParameterSet::trainable() const {
  int64_t n = 0;
  for (const Parameter& p : parameters_) n += p.count;
  return n;
}

Tensor ParameterSet::slice(const Tensor& flat, int index) const {
  const Parameter& p = parameters_.at(static_cast<size_t>(index));
  Tensor t = rows(flat, p.begin, p.count);
  t.rank = static_cast<int>(p.shape.size());
  for (size_t i = 0; i < p.shape.size(); ++i) t.shape[i] = p.shape[i];
  t.row_stride = t.row_elements();
  return t;
}

void ParameterSet::refresh() const {
  const auto& [values, gradients, compute] = storage_;
  if (compute.dtype != Dtype::kF32 && extent_ > 0) cast({.out = compute, .in = values});
}

void ParameterSet::zero_gradients() const {
  if (extent_ > 0) zero(storage_.gradients);
}

std::vector<ParameterRange> ParameterSet::segments(float weight_decay) const {
  std::vector<ParameterRange> out;
  for (const Parameter& p : parameters_)
    out.push_back({p.begin, p.count, p.decays ? weight_decay : 0.0f});
  return out;
}

}  // namespace nibble
