// SPDX-License-Identifier: Apache-2.0
// Buffers that have room for more than what is in them, seen as what is.
#pragma once

#include "tensor/tensor.h"

namespace nibble {

/// The beginning of a buffer as a dense (n, width).
inline Tensor as_rows(const Tensor& buffer, int64_t n, int64_t width) {
  CHECK(buffer.elements() >= n * width);
  return make_tensor(buffer.data, buffer.dtype, {n, width}, buffer.device);
}

/// Its first n rows, where it has more.
inline Tensor first_rows(const Tensor& t, int64_t n) {
  return t && t.dim(0) > n ? rows(t, 0, n) : t;
}

}  // namespace nibble
