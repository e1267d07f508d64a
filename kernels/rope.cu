// SPDX-License-Identifier: Apache-2.0
#include "kernels/rope.h"

#include "kernels/cuda/twins.h"
#include "kernels/cuda/values.h"

namespace nibble::cuda {
namespace {

// A thread turns kCount pairs of one head.
template <class T, int kCount>
__global__ void __launch_bounds__(kRowThreads)
    rope_kernel(T* inout, const float* cosine, const float* sine, const int32_t* positions,
                int64_t stride, int64_t pairs, int64_t half, float sign, int parts) {
  const auto [row, pair] = row_part<kCount>(parts);
  if (pair >= pairs) return;
  const int64_t head = pair / half, d = pair % half;
  const int64_t angle = positions[row] * half + d;
  const Floats<kCount> c = read<kCount>(cosine + angle), s = read<kCount>(sine + angle);
  T* low = inout + row * stride + head * 2 * half + d;
  const Floats<kCount> x = read<kCount>(low), y = read<kCount>(low + half);
  Floats<kCount> turned_x, turned_y;
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    const float sin = sign * s.v[i];
    turned_x.v[i] = x.v[i] * c.v[i] - y.v[i] * sin;
    turned_y.v[i] = y.v[i] * c.v[i] + x.v[i] * sin;
  }
  write(low, turned_x);
  write(low + half, turned_y);
}

}  // namespace

void rope(const Rope& op, Stream stream) {
  const int64_t n = op.inout.dim(0), half = op.head_dim / 2, pairs = op.inout.dim(1) / 2;
  if (n == 0 || pairs == 0) return;
  with_float_type(op.inout.dtype, [&](auto t) {
    using T = decltype(t);
    const bool wide = wide_rows(op.inout, half, kWide<T>) && wide_rows(op.cos, half, kWide<T>) &&
                      wide_rows(op.sin, half, kWide<T>);
    with_width<T>(wide, [&](auto count) {
      constexpr int kCount = decltype(count)::value;
      const RowGrid grid = row_grid<kCount>(n, pairs, stream, "rope");
      launch(rope_kernel<T, kCount>, grid.launch, device_pointer<T>(op.inout),
             device_pointer<float>(op.cos), device_pointer<float>(op.sin),
             device_pointer<int32_t>(op.positions), op.inout.row_stride, pairs, half,
             op.rotation == Rotation::kForward ? 1.0f : -1.0f, grid.parts);
    });
  });
}

}  // namespace nibble::cuda
