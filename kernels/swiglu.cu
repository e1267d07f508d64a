// SPDX-License-Identifier: Apache-2.0
#include "kernels/swiglu.h"

#include "kernels/cuda/twins.h"
#include "kernels/cuda/values.h"

namespace nibble::cuda {
namespace {

__device__ __forceinline__ float sigmoid(float x) {
  return 1.0f / (1.0f + expf(-x));
}

template <class T>
struct Matrix {
  T* data;
  int64_t stride;
  explicit Matrix(const Tensor& t) : data(device_pointer<T>(t)), stride(t.row_stride) {}
  __device__ __forceinline__ T* at(int64_t row, int64_t column) const {
    return data + row * stride + column;
  }
};

template <class T, int kCount>
__global__ void __launch_bounds__(kRowThreads)
    swiglu_forward_kernel(Matrix<T> out, Matrix<T> gate_up, int64_t f, int parts) {
  const auto [row, column] = row_part<kCount>(parts);
  if (column >= f) return;
  const T* gate = gate_up.at(row, column);
  const Floats<kCount> g = read<kCount>(gate), u = read<kCount>(gate + f);
  Floats<kCount> y;
#pragma unroll
  for (int i = 0; i < kCount; ++i) y.v[i] = g.v[i] * sigmoid(g.v[i]) * u.v[i];
  write(out.at(row, column), y);
}

template <class T, int kCount>
__global__ void __launch_bounds__(kRowThreads)
    swiglu_backward_kernel(Matrix<T> dgate_up, Matrix<T> out, Matrix<T> dout, Matrix<T> gate_up,
                           int64_t f, int parts) {
  const auto [row, column] = row_part<kCount>(parts);
  if (column >= f) return;
  const T* gate = gate_up.at(row, column);
  const Floats<kCount> g = read<kCount>(gate), u = read<kCount>(gate + f);
  const Floats<kCount> d = read<kCount>(dout.at(row, column));
  Floats<kCount> dgate, dup, y;
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    const float s = sigmoid(g.v[i]), silu = g.v[i] * s;
    y.v[i] = silu * u.v[i];
    // s (1 + g (1 - s)) = s + silu (1 - s)
    dgate.v[i] = d.v[i] * u.v[i] * (s + silu * (1.0f - s));
    dup.v[i] = d.v[i] * silu;
  }
  write(dgate_up.at(row, column), dgate);
  write(dgate_up.at(row, column + f), dup);
  if (out.data) write(out.at(row, column), y);
}

}  // namespace

void swiglu_forward(const SwigluForward& op, Stream stream) {
  const int64_t n = op.out.dim(0), f = op.out.dim(1);
  if (n == 0 || f == 0) return;
  with_float_type(op.out.dtype, [&](auto t) {
    using T = decltype(t);
    const bool wide = wide_rows(op.out, f, kWide<T>) && wide_rows(op.gate_up, f, kWide<T>);
    with_width<T>(wide, [&](auto count) {
      constexpr int kCount = decltype(count)::value;
      const RowGrid grid = row_grid<kCount>(n, f, stream, "swiglu_forward");
      launch(swiglu_forward_kernel<T, kCount>, grid.launch, Matrix<T>(op.out),
             Matrix<T>(op.gate_up), f, grid.parts);
    });
  });
}

void swiglu_backward(const SwigluBackward& op, Stream stream) {
  const int64_t n = op.dout.dim(0), f = op.dout.dim(1);
  if (n == 0 || f == 0) return;
  with_float_type(op.dout.dtype, [&](auto t) {
    using T = decltype(t);
    const bool wide = wide_rows(op.dgate_up, f, kWide<T>) && wide_rows(op.out, f, kWide<T>) &&
                      wide_rows(op.dout, f, kWide<T>) && wide_rows(op.gate_up, f, kWide<T>);
    with_width<T>(wide, [&](auto count) {
      constexpr int kCount = decltype(count)::value;
      const RowGrid grid = row_grid<kCount>(n, f, stream, "swiglu_backward");
      launch(swiglu_backward_kernel<T, kCount>, grid.launch, Matrix<T>(op.dgate_up),
             Matrix<T>(op.out), Matrix<T>(op.dout), Matrix<T>(op.gate_up), f, grid.parts);
    });
  });
}

}  // namespace nibble::cuda
