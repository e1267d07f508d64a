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
  write_packed(out + m * c + column, read_packed<kCount>(in + rows[m] * c + column));
}

// A warp takes sixteen rows of `out` and as many columns as it moves at once, and looks for the
// rows among the increasing `rows` once: down to sixteen numbers by halves, and then all lanes.
constexpr int kScatteredRows = 16, kScatterThreads = 256;

template <class T, int kCount>
__global__ void __launch_bounds__(kScatterThreads)
    scatter_rows_kernel(T* out, int64_t out_stride, int64_t out_rows, const T* in,
                        const int32_t* rows, int64_t count, int64_t c, int parts) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t warp =
      static_cast<int64_t>(blockIdx.x) * (kScatterThreads / kWarp) + threadIdx.x / kWarp;
  const int64_t first = warp / parts * kScatteredRows;
  const int64_t column = (warp % parts * kWarp + lane) * kCount;
  int64_t low = 0, high = count;  // between them is the first that is not below `first`
  while (high - low > kWarp - kScatteredRows) {
    const int64_t middle = (low + high) / 2;
    if (rows[middle] < first)
      low = middle + 1;
    else
      high = middle;
  }
  // The sixteen numbers from that one on, too.
  const int32_t mine = low + lane < count ? rows[low + lane] : -1;
#pragma unroll 4
  for (int64_t n = first; n < min(first + kScatteredRows, out_rows); ++n) {
    const unsigned found = __ballot_sync(kAllLanes, mine == n);
    if (column >= c) continue;
    Packed<T, kCount> x{};
    if (found)
      x = read_packed<kCount>(in + (low + __ffs(static_cast<int>(found)) - 1) * c + column);
    write_packed(out + n * out_stride + column, x);
  }
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
      const unsigned parts = blocks_for(c, kWarp * kCount);
      const int64_t warps = int64_t{parts} * blocks_for(n, kScatteredRows);
      launch(scatter_rows_kernel<T, kCount>,
             {.grid = dim3(blocks_for(warps, kScatterThreads / kWarp)),
              .block = dim3(kScatterThreads),
              .stream = queue(stream).stream,
              .name = "scatter_rows"},
             device_pointer<T>(op.out), op.out.row_stride, n, device_pointer<T>(op.in),
             device_pointer<int32_t>(op.rows), op.rows.dim(0), c, static_cast<int>(parts));
    });
  });
}

}  // namespace nibble::cuda
