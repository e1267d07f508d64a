// SPDX-License-Identifier: Apache-2.0
#include "kernels/store_cache.h"

#include "kernels/cuda/twins.h"
#include "kernels/cuda/values.h"

namespace nibble::cuda {
namespace {

// Blocks in y: keys, values.
template <class T, int kCount>
__global__ void __launch_bounds__(kRowThreads)
    store_cache_kernel(T* keys, T* values, const T* k, const T* v, const int32_t* lengths,
                       int64_t k_stride, int64_t v_stride, int64_t room, int64_t width, int parts) {
  const auto [b, column] = row_part<kCount>(parts);
  const int32_t length = lengths[b];
  if (column >= width || length == 0) return;
  const bool second = blockIdx.y == 1;
  const T* const from = second ? v + b * v_stride : k + b * k_stride;
  T* const to = (second ? values : keys) + (b * room + length - 1) * width;
  write(to + column, read<kCount>(from + column));
}

}  // namespace

void store_cache(const StoreCache& op, Stream stream) {
  const int64_t width = op.keys.dim(2);
  with_float_type(op.keys.dtype, [&](auto type) {
    using T = decltype(type);
    const bool wide = wide_rows(op.keys, width, kWide<T>) &&
                      wide_rows(op.values, width, kWide<T>) && wide_rows(op.k, width, kWide<T>) &&
                      wide_rows(op.v, width, kWide<T>);
    with_width<T>(wide, [&](auto count) {
      constexpr int kCount = decltype(count)::value;
      RowGrid grid = row_grid<kCount>(op.keys.dim(0), width, stream, "store_cache");
      grid.launch.grid.y = 2;
      launch(store_cache_kernel<T, kCount>, grid.launch, device_pointer<T>(op.keys),
             device_pointer<T>(op.values), device_pointer<T>(op.k), device_pointer<T>(op.v),
             device_pointer<int32_t>(op.lengths), op.k.row_stride, op.v.row_stride, op.keys.dim(1),
             width, grid.parts);
    });
  });
}

}  // namespace nibble::cuda
