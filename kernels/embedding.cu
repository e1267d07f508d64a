// SPDX-License-Identifier: Apache-2.0
#include "kernels/embedding.h"

#include "kernels/cuda/twins.h"
#include "kernels/cuda/values.h"

namespace nibble::cuda {
namespace {

template <class T, class W, int kCount>
__global__ void __launch_bounds__(kRowThreads)
    embedding_forward_kernel(T* out, const int32_t* ids, const W* table, int64_t c, int parts) {
  const auto [n, column] = row_part<kCount>(parts);
  if (column >= c) return;
  write(out + n * c + column, read<kCount>(table + ids[n] * c + column));
}

// A block looks after the id of its row if no row before has the same, and then adds all rows of
// that id in their order.
template <class T>
__global__ void __launch_bounds__(kRowThreads)
    embedding_backward_kernel(float* dtable, const T* dout, int64_t dout_stride, const int32_t* ids,
                              int64_t n, int64_t c) {
  constexpr int kWarps = kRowThreads / kWarp;
  __shared__ int32_t found[kRowThreads];
  __shared__ unsigned votes[kWarps];
  const int64_t mine = blockIdx.x;
  const int thread = static_cast<int>(threadIdx.x), lane = thread % kWarp, warp = thread / kWarp;
  const int32_t id = ids[mine];
  __shared__ int earlier;
  if (thread == 0) earlier = 0;
  __syncthreads();
  for (int64_t row = thread; row < mine; row += kRowThreads)
    if (ids[row] == id) {
      atomicExch(&earlier, 1);
      break;
    }
  __syncthreads();
  if (earlier) return;
  float* place = dtable + id * c;
  for (int64_t begin = mine; begin < n; begin += kRowThreads) {
    const int64_t row = begin + thread;
    const bool same = row < n && ids[row] == id;
    const unsigned vote = __ballot_sync(kAllLanes, same);
    if (lane == 0) votes[warp] = vote;
    __syncthreads();
    int before = __popc(vote & ((1u << lane) - 1u)), count = 0;
    for (int w = 0; w < kWarps; ++w) {
      const int here = __popc(votes[w]);
      if (w < warp) before += here;
      count += here;
    }
    if (same) found[before] = static_cast<int32_t>(row);
    __syncthreads();
    for (int64_t column = thread; column < c && count > 0; column += kRowThreads) {
      float sum = place[column];
      for (int k = 0; k < count; ++k) sum += to_f32(dout[found[k] * dout_stride + column]);
      place[column] = sum;
    }
    // What is read here is written again only after the next barrier.
  }
}

}  // namespace

void embedding_forward(const EmbeddingForward& op, Stream stream) {
  const int64_t n = op.out.dim(0), c = op.out.dim(1);
  if (n == 0 || c == 0) return;
  with_float_type(op.out.dtype, [&](auto type) {
    with_weight_type(op.table.dtype, [&](auto weight) {
      using T = decltype(type);
      using W = decltype(weight);
      const bool wide = wide_rows(op.out, c, kWide<T>) && wide_rows(op.table, c, kWide<T>);
      with_width<T>(wide, [&](auto count) {
        constexpr int kCount = decltype(count)::value;
        const RowGrid grid = row_grid<kCount>(n, c, stream, "embedding_forward");
        launch(embedding_forward_kernel<T, W, kCount>, grid.launch, device_pointer<T>(op.out),
               device_pointer<int32_t>(op.ids), device_pointer<W>(op.table), c, grid.parts);
      });
    });
  });
}

void embedding_backward(const EmbeddingBackward& op, Stream stream) {
  const int64_t n = op.dout.dim(0), c = op.dout.dim(1);
  if (n == 0 || c == 0) return;
  with_float_type(op.dout.dtype, [&](auto type) {
    using T = decltype(type);
    launch(embedding_backward_kernel<T>,
           {.grid = dim3(blocks_for(n, 1)),
            .block = dim3(kRowThreads),
            .stream = queue(stream).stream,
            .name = "embedding_backward"},
           device_pointer<float>(op.dtable), device_pointer<T>(op.dout), op.dout.row_stride,
           device_pointer<int32_t>(op.ids), n, c);
  });
}

}  // namespace nibble::cuda
