// SPDX-License-Identifier: Apache-2.0
// Tensor: a typed, shaped view of memory that somebody else owns (an Arena, a mapped file). Rows
// may be further apart than they are long (row_stride), so that a column range of a wide matrix is
// a tensor too; all other dimensions are dense.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "base/error.h"
#include "tensor/device.h"
#include "tensor/dims.h"
#include "tensor/dtype.h"

namespace nibble {

struct Tensor {
  void* data = nullptr;
  Dtype dtype = Dtype::kF32;
  Device device;
  int rank = 0;
  std::array<int64_t, 4> shape{};
  int64_t row_stride = 0;  // elements between rows (index 0); shape[1]*shape[2]*... when dense

  explicit operator bool() const { return data != nullptr; }
  int64_t dim(int i) const {
    CHECK(i >= 0 && i < rank);
    return shape[static_cast<size_t>(i)];
  }
  int64_t elements() const;
  /// Elements of one row: the product of all dimensions but the first.
  int64_t row_elements() const;
  bool dense() const { return rank < 2 || dim(0) <= 1 || row_stride == row_elements(); }
  /// Of all elements, were they dense.
  size_t bytes() const { return static_cast<size_t>(elements()) * dtype_bytes(dtype); }

  /// The elements as T; T must be what dtype says.
  template <class T>
  T* as() const {
    CHECK(dtype == dtype_of<T>);
    return static_cast<T*>(data);
  }
};

/// A dense view of `data`.
Tensor make_tensor(void* data, Dtype dtype, std::initializer_list<int64_t> shape,
                   Device device = {});
template <class T>
Tensor view(T* data, std::initializer_list<int64_t> shape, Device device = {}) {
  return make_tensor(const_cast<std::remove_const_t<T>*>(data), dtype_of<T>, shape, device);
}

/// Columns [begin, begin + count) of a matrix (rank 2), and rows likewise (any rank).
Tensor columns(const Tensor& matrix, int64_t begin, int64_t count);
Tensor rows(const Tensor& tensor, int64_t begin, int64_t count);

/// Whether `next` begins where the dense tensor `before`, of the same type, ends.
bool adjoin(const Tensor& before, const Tensor& next);

/// "bf16(7,1023)", for messages.
std::string describe(const Tensor& tensor);

}  // namespace nibble
