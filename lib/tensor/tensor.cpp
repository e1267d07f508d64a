// SPDX-License-Identifier: Apache-2.0
#include "tensor/tensor.h"

namespace nibble {

int64_t Tensor::elements() const {
  return rank == 0 ? 0 : dim(0) * row_elements();
}

int64_t Tensor::row_elements() const {
  int64_t n = 1;
  for (int i = 1; i < rank; ++i) n *= dim(i);
  return n;
}

Tensor make_tensor(void* data, Dtype dtype, std::initializer_list<int64_t> shape, Device device) {
  CHECK(shape.size() >= 1 && shape.size() <= 4);
  Tensor t{.data = data, .dtype = dtype, .device = device};
  for (const int64_t d : shape) {
    CHECK(d >= 0);
    t.shape[static_cast<size_t>(t.rank++)] = d;
  }
  t.row_stride = t.row_elements();
  return t;
}

Tensor columns(const Tensor& matrix, int64_t begin, int64_t count) {
  CHECK(matrix.rank == 2 && begin >= 0 && count >= 0 && begin + count <= matrix.dim(1));
  Tensor t = matrix;
  t.data = static_cast<std::byte*>(t.data) + static_cast<size_t>(begin) * dtype_bytes(t.dtype);
  t.shape[1] = count;
  return t;
}

Tensor rows(const Tensor& tensor, int64_t begin, int64_t count) {
  CHECK(begin >= 0 && count >= 0 && begin + count <= tensor.dim(0));
  Tensor t = tensor;
  const int64_t stride = t.rank == 1 ? 1 : t.row_stride;
  t.data =
      static_cast<std::byte*>(t.data) + static_cast<size_t>(begin * stride) * dtype_bytes(t.dtype);
  t.shape[0] = count;
  return t;
}

bool adjoin(const Tensor& before, const Tensor& next) {
  return next.dtype == before.dtype &&
         static_cast<const std::byte*>(before.data) + before.bytes() == next.data;
}

std::string describe(const Tensor& tensor) {
  std::string out = cat(dtype_name(tensor.dtype), "(");
  for (int i = 0; i < tensor.rank; ++i) out += cat(i ? "," : "", tensor.dim(i));
  return out + ")";
}

}  // namespace nibble
