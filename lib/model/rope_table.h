// SPDX-License-Identifier: Apache-2.0
// Cosines and sines of rotary position embedding for positions [0, P), with the frequency scalings
// that models use: none, linear (frequencies divided by a factor), llama3 (Llama 3.1: low
// frequencies divided, high kept, a ramp between by wavelength). As transformers computes them: the
// frequencies in fp32, angles as fp32 products.
#pragma once

#include <vector>

#include "model/config.h"
#include "tensor/arena.h"

namespace nibble {

struct RopeTable {
  std::vector<float> cos, sin;  // (P, D/2)
  int64_t positions = 0, half = 0;
  Tensor device_cos, device_sin;  // where ops read them, on a device

  Tensor cos_tensor() const {
    return device_cos ? device_cos : view(cos.data(), {positions, half});
  }
  Tensor sin_tensor() const {
    return device_sin ? device_sin : view(sin.data(), {positions, half});
  }
};

/// Takes room for both tables on the arena's device, if it is not the CPU, and copies them.
void place_rope_table(RopeTable& table, Arena& arena);

RopeTable make_rope_table(const RopeConfig& config, int64_t head_dim, int64_t positions);

}  // namespace nibble
