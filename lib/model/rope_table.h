// SPDX-License-Identifier: Apache-2.0
// Cosines and sines of rotary position embedding for positions [0, P), with the frequency scalings
// that models use: none, linear (frequencies divided by a factor), llama3 (Llama 3.1: low
// frequencies divided, high kept, a ramp between by wavelength). As transformers computes them: the
// frequencies in fp32, angles as fp32 products.
#pragma once

#include <vector>

#include "model/config.h"
#include "tensor/tensor.h"

namespace nibble {

struct RopeTable {
  std::vector<float> cos, sin;  // (P, D/2)
  int64_t positions = 0, half = 0;

  Tensor cos_tensor() const { return view(cos.data(), {positions, half}); }
  Tensor sin_tensor() const { return view(sin.data(), {positions, half}); }
};

RopeTable make_rope_table(const RopeConfig& config, int64_t head_dim, int64_t positions);

}  // namespace nibble
