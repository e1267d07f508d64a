// SPDX-License-Identifier: Apache-2.0
// Rows are moved as bits: an element's type only says how many of them make an access.
#include "kernels/rows.h"

#include "kernels/cuda/twins.h"
#include "kernels/cuda/values.h"

namespace nibble::cuda {
namespace {

template <class T, int kCount>
__global__ void __launch_bounds__(kRowThreads)
    gather_rows_kernel(T* out, const T* in, const int32_t* rows, int64_t c, int parts) {
  const auto [m, column] = row_part<kCount>(parts);
  if (column >= c) return;
  write(out + m * c + column, read<kCount>(in + rows[m] * c + column));
}

// Every row of `out` looks for itself among the increasing `rows`.
template <class T, int kCount>
__global__ void __launch_bounds__(kRowThreads)
    scatter_rows_kernel(T* out, const T* in, const int32_t* rows, int64_t count, int64_t c,
                        int parts) {
  const auto [n, column] = row_part<kCount>(parts);
  if (column >= c) return;
  int64_t low = 0, high = count;  // the first that is not below n
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (rows[middle] < n)
      low = middle + 1;
    else
      high = middle;
  }
  Floats<kCount> x{};
  if (low < count && rows[low] == n) x = read<kCount>(in + low * c + column);
  write(out + n * c + column, x);
}

}  // namespace

void gather_rows(const GatherRows& op, Stream stream) {
  const int64_t m = op.out.dim(0), c = op.out.dim(1);
  if (m == 0 || c == 0) return;
  with_float_type(op.out.dtype, [&](auto type) {
    using T = decltype(type);
    with_width<T>(wide_rows(op.out, c, kWide<T>) && wide_rows(op.in, c, kWide<T>), [&](auto count) {
      constexpr int kCount = decltype(count)::value;
      const RowGrid grid = row_grid<kCount>(m, c, stream, "gather_rows");
      launch(gather_rows_kernel<T, kCount>, grid.launch, device_pointer<T>(op.out),
             device_pointer<T>(op.in), device_pointer<int32_t>(op.rows), c, grid.parts);
    });
  });
}

void scatter_rows(const ScatterRows& op, Stream stream) {
  const int64_t n = op.out.dim(0), c = op.out.dim(1);
  if (n == 0 || c == 0) return;
  with_float_type(op.out.dtype, [&](auto type) {
    using T = decltype(type);
    with_width<T>(wide_rows(op.out, c, kWide<T>) && wide_rows(op.in, c, kWide<T>), [&](auto count) {
      constexpr int kCount = decltype(count)::value;
      const RowGrid grid = row_grid<kCount>(n, c, stream, "scatter_rows");
      launch(scatter_rows_kernel<T, kCount>, grid.launch, device_pointer<T>(op.out),
             device_pointer<T>(op.in), device_pointer<int32_t>(op.rows), op.rows.dim(0), c,
             grid.parts);
    });
  });
}

}  // namespace nibble::cuda
