// SPDX-License-Identifier: Apache-2.0
// Random initial values. Element i of a tensor is a pure function of (seed, the tensor's name, i),
// so it depends neither on the order of tensors nor on threads.
#pragma once

#include <cstdint>
#include <string_view>

#include "tensor/tensor.h"

namespace nibble {

struct DrawName {
  uint64_t seed = 0;
  std::string_view name;
  int64_t first_block = 0;  // begins at element 4 * first_block, for tensors drawn in parts
};

/// Uniform in [-bound, bound); out (dense, f32) written.
void draw_uniform(const Tensor& out, double bound, const DrawName& draw);
/// Normal with mean 0 (Box-Muller); out (dense, f32) written.
void draw_normal(const Tensor& out, double deviation, const DrawName& draw);

/// Rows for new tokens as transformers' resize_token_embeddings draws them (mean_resizing): from a
/// normal distribution with the old rows' mean and 1e-9 times their covariance (Hewitt,
/// "Initializing New Word Embeddings for Pretrained Language Models", 2021). out (M,C) written; old
/// (V,C); f32.
void draw_new_rows(const Tensor& out, const Tensor& old, const DrawName& draw);

/// out (f32, dense) = in (f32, bf16 or f16, dense), of equal shape.
void copy_as_f32(const Tensor& in, const Tensor& out);

}  // namespace nibble
