// SPDX-License-Identifier: Apache-2.0
// A block a row; what it has read stays in shared memory as floats, so that each tensor is read
// once and written once. Where a row does not fit there, it is read again.
#include "kernels/rmsnorm.h"

#include "kernels/cuda/column_sums.h"
#include "kernels/cuda/twins.h"
#include "kernels/cuda/values.h"

namespace nibble::cuda {
namespace {

constexpr int kMostThreads = 512;
constexpr size_t kMostShared = size_t{64} << 10;

template <int kCount>
__device__ __forceinline__ void keep(float* kept, int64_t i, const Floats<kCount>& x) {
  write(kept + i, x);
}

template <class T, class W, int kCount, bool kKeep>
__global__ void __launch_bounds__(kMostThreads)
    rmsnorm_forward_kernel(T* out, float* rstd, T* sum, const T* in, const T* delta,
                           const W* weight, int64_t c, float eps) {
  NIBBLE_DYNAMIC_SHARED(float, kept);
  __shared__ float room[kWarp];
  const int64_t row = static_cast<int64_t>(blockIdx.x) * c;
  const int64_t first = threadIdx.x * kCount, step = blockDim.x * kCount;
  float squares = 0.0f;
  for (int64_t i = first; i < c; i += step) {
    Floats<kCount> x = read<kCount>(in + row + i);
    if (delta) {
      const Floats<kCount> d = read<kCount>(delta + row + i);
#pragma unroll
      for (int k = 0; k < kCount; ++k) x.v[k] = to_f32(from_f32<T>(x.v[k] + d.v[k]));
      write(sum + row + i, x);
    }
    if (kKeep) keep<kCount>(kept, i, x);
#pragma unroll
    for (int k = 0; k < kCount; ++k) squares += x.v[k] * x.v[k];
  }
  const float scale = 1.0f / sqrtf(block_sum(squares, room) / static_cast<float>(c) + eps);
  if (rstd && threadIdx.x == 0) rstd[blockIdx.x] = scale;
  const T* stored = delta ? sum : in;
  for (int64_t i = first; i < c; i += step) {
    Floats<kCount> x = kKeep ? read<kCount>(kept + i) : read<kCount>(stored + row + i);
    const Floats<kCount> w = read<kCount>(weight + i);
#pragma unroll
    for (int k = 0; k < kCount; ++k) x.v[k] = x.v[k] * scale * w.v[k];
    write(out + row + i, x);
  }
}

template <class T, class W, int kCount, bool kKeep>
__global__ void __launch_bounds__(kMostThreads)
    rmsnorm_backward_kernel(T* din, const T* dout, const T* in, const float* rstd, const W* weight,
                            int64_t c) {
  NIBBLE_DYNAMIC_SHARED(float, kept);  // x, then g
  __shared__ float room[kWarp];
  const int64_t row = static_cast<int64_t>(blockIdx.x) * c;
  const int64_t first = threadIdx.x * kCount, step = blockDim.x * kCount;
  float products = 0.0f;
  for (int64_t i = first; i < c; i += step) {
    const Floats<kCount> x = read<kCount>(in + row + i), w = read<kCount>(weight + i);
    Floats<kCount> g = read<kCount>(dout + row + i);
#pragma unroll
    for (int k = 0; k < kCount; ++k) {
      g.v[k] *= w.v[k];
      products += g.v[k] * x.v[k];
    }
    if (kKeep) {
      keep<kCount>(kept, i, x);
      keep<kCount>(kept + c, i, g);
    }
  }
  const float scale = rstd[blockIdx.x];
  const float mean = block_sum(products, room) / static_cast<float>(c) * scale * scale;
  for (int64_t i = first; i < c; i += step) {
    Floats<kCount> x, g, d = read<kCount>(din + row + i);
    if (kKeep) {
      x = read<kCount>(kept + i);
      g = read<kCount>(kept + c + i);
    } else {
      x = read<kCount>(in + row + i);
      g = read<kCount>(dout + row + i);
      const Floats<kCount> w = read<kCount>(weight + i);
#pragma unroll
      for (int k = 0; k < kCount; ++k) g.v[k] *= w.v[k];
    }
#pragma unroll
    for (int k = 0; k < kCount; ++k) d.v[k] += scale * (g.v[k] - x.v[k] * mean);
    write(din + row + i, d);
  }
}

// Heads: a warp each, read element by element (a head is short, its lanes adjoin).
constexpr int kHeadWarps = 8;

struct HeadRows {
  int64_t rows, heads, stride, d;  // rows = N * heads
  __device__ __forceinline__ int64_t offset(int64_t row) const {
    return row / heads * stride + row % heads * d;
  }
};

template <class T, class W>
__global__ void __launch_bounds__(kHeadWarps* kWarp)
    rmsnorm_heads_forward_kernel(T* inout, float* rstd, const W* weight, HeadRows at, float eps) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kHeadWarps + threadIdx.x / kWarp;
  if (row >= at.rows) return;
  T* x = inout + at.offset(row);
  const int lane = threadIdx.x % kWarp;
  float squares = 0.0f;
  for (int64_t i = lane; i < at.d; i += kWarp) {
    const float v = to_f32(x[i]);
    squares += v * v;
  }
  const float scale = 1.0f / sqrtf(warp_sum(squares) / static_cast<float>(at.d) + eps);
  if (lane == 0) rstd[row] = scale;
  for (int64_t i = lane; i < at.d; i += kWarp)
    x[i] = from_f32<T>(to_f32(x[i]) * scale * to_f32(weight[i]));
}

template <class T, class W>
__global__ void __launch_bounds__(kHeadWarps* kWarp)
    rmsnorm_heads_backward_kernel(T* dinout, const T* in, const float* rstd, const W* weight,
                                  HeadRows d_at, HeadRows in_at) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kHeadWarps + threadIdx.x / kWarp;
  if (row >= d_at.rows) return;
  T* dx = dinout + d_at.offset(row);
  const T* x = in + in_at.offset(row);
  const int lane = threadIdx.x % kWarp;
  float products = 0.0f;
  for (int64_t i = lane; i < d_at.d; i += kWarp)
    products += to_f32(dx[i]) * to_f32(weight[i]) * to_f32(x[i]);
  const float scale = rstd[row];
  const float mean = warp_sum(products) / static_cast<float>(d_at.d) * scale * scale;
  for (int64_t i = lane; i < d_at.d; i += kWarp)
    dx[i] = from_f32<T>(scale * (to_f32(dx[i]) * to_f32(weight[i]) - to_f32(x[i]) * mean));
}

// dweight[c] += sum over rows of dout * in * rstd.
template <class T>
struct WeightGradient {
  const T* dout;
  const T* in;
  const float* rstd;
  HeadRows dout_at, in_at;
  __device__ __forceinline__ float operator()(int64_t row, int64_t column) const {
    return to_f32(dout[dout_at.offset(row) + column]) * to_f32(in[in_at.offset(row) + column]) *
           rstd[row];
  }
};

// A block of whole warps, no more than a row's accesses need.
unsigned threads_for(int64_t width, int count) {
  const int64_t accesses = (width + count - 1) / count;
  const int64_t warps = std::min<int64_t>((accesses + kWarp - 1) / kWarp, kMostThreads / kWarp);
  return static_cast<unsigned>(warps * kWarp);
}

// launch_kernel(T(), W(), width, keeps) for the tensors' types.
template <class Body>
void with_types(Dtype t, Dtype w, bool wide, bool keeps, const Body& body) {
  with_float_type(t, [&](auto type) {
    with_float_type(w, [&](auto weight) {
      with_width<decltype(type)>(wide, [&](auto count) {
        if (keeps)
          body(type, weight, count, std::true_type());
        else
          body(type, weight, count, std::false_type());
      });
    });
  });
}

HeadRows head_rows(const Tensor& t, int64_t heads, int64_t d) {
  return {t.dim(0) * heads, heads, t.row_stride, d};
}

}  // namespace

void rmsnorm_forward(const RmsnormForward& op, Stream stream) {
  const int64_t n = op.in.dim(0), c = op.in.dim(1);
  if (n == 0) return;
  const int elements = op.in.dtype == Dtype::kF32 ? kWide<float> : kWide<__nv_bfloat16>;
  const bool wide = wide_rows(op.in, c, elements) && wide_rows(op.out, c, elements) &&
                    wide_rows(op.sum, c, elements) && wide_rows(op.delta, c, elements) &&
                    wide_rows(op.weight, c, elements);
  const size_t row_bytes = static_cast<size_t>(c) * sizeof(float);
  const bool keeps = row_bytes <= kMostShared;
  with_types(op.in.dtype, op.weight.dtype, wide, keeps,
             [&](auto type, auto weight, auto count, auto kept) {
               using T = decltype(type);
               using W = decltype(weight);
               constexpr int kCount = decltype(count)::value;
               launch(rmsnorm_forward_kernel<T, W, kCount, decltype(kept)::value>,
                      {.grid = dim3(blocks_for(n, 1)),
                       .block = dim3(threads_for(c, kCount)),
                       .shared_bytes = keeps ? row_bytes : 0,
                       .stream = queue(stream).stream,
                       .name = "rmsnorm_forward"},
                      device_pointer<T>(op.out), device_pointer<float>(op.rstd),
                      device_pointer<T>(op.sum), device_pointer<T>(op.in),
                      device_pointer<T>(op.delta), device_pointer<W>(op.weight), c, op.eps);
             });
}

void rmsnorm_backward(const RmsnormBackward& op, Stream stream) {
  const int64_t n = op.in.dim(0), c = op.in.dim(1);
  if (n == 0) return;
  const int elements = op.in.dtype == Dtype::kF32 ? kWide<float> : kWide<__nv_bfloat16>;
  const bool wide = wide_rows(op.din, c, elements) && wide_rows(op.dout, c, elements) &&
                    wide_rows(op.in, c, elements) && wide_rows(op.weight, c, elements);
  const size_t row_bytes = 2 * static_cast<size_t>(c) * sizeof(float);
  const bool keeps = row_bytes <= kMostShared;
  with_types(op.in.dtype, op.weight.dtype, wide, keeps,
             [&](auto type, auto weight, auto count, auto kept) {
               using T = decltype(type);
               using W = decltype(weight);
               constexpr int kCount = decltype(count)::value;
               launch(rmsnorm_backward_kernel<T, W, kCount, decltype(kept)::value>,
                      {.grid = dim3(blocks_for(n, 1)),
                       .block = dim3(threads_for(c, kCount)),
                       .shared_bytes = keeps ? row_bytes : 0,
                       .stream = queue(stream).stream,
                       .name = "rmsnorm_backward"},
                      device_pointer<T>(op.din), device_pointer<T>(op.dout),
                      device_pointer<T>(op.in), device_pointer<float>(op.rstd),
                      device_pointer<W>(op.weight), c);
             });
  if (!op.dweight) return;
  with_float_type(op.in.dtype, [&](auto type) {
    using T = decltype(type);
    add_column_sums(WeightGradient<T>{device_pointer<T>(op.dout), device_pointer<T>(op.in),
                                      device_pointer<float>(op.rstd), head_rows(op.dout, 1, c),
                                      head_rows(op.in, 1, c)},
                    op.dweight, n, stream, "rmsnorm_backward");
  });
}

void rmsnorm_heads_forward(const RmsnormHeadsForward& op, Stream stream) {
  const HeadRows at = head_rows(op.inout, op.rstd.dim(1), op.weight.dim(0));
  if (at.rows == 0) return;
  with_float_type(op.inout.dtype, [&](auto type) {
    with_float_type(op.weight.dtype, [&](auto weight) {
      using T = decltype(type);
      using W = decltype(weight);
      launch(rmsnorm_heads_forward_kernel<T, W>,
             {.grid = dim3(blocks_for(at.rows, kHeadWarps)),
              .block = dim3(kHeadWarps * kWarp),
              .stream = queue(stream).stream,
              .name = "rmsnorm_heads_forward"},
             device_pointer<T>(op.inout), device_pointer<float>(op.rstd),
             device_pointer<W>(op.weight), at, op.eps);
    });
  });
}

void rmsnorm_heads_backward(const RmsnormHeadsBackward& op, Stream stream) {
  const int64_t heads = op.rstd.dim(1), d = op.weight.dim(0);
  const HeadRows d_at = head_rows(op.dinout, heads, d), in_at = head_rows(op.in, heads, d);
  if (d_at.rows == 0) return;
  with_float_type(op.dinout.dtype, [&](auto type) {
    using T = decltype(type);
    // The weight's gradient first: the gradient of the output is then overwritten.
    if (op.dweight)
      add_column_sums(WeightGradient<T>{device_pointer<T>(op.dinout), device_pointer<T>(op.in),
                                        device_pointer<float>(op.rstd), d_at, in_at},
                      op.dweight, d_at.rows, stream, "rmsnorm_heads_backward");
    with_float_type(op.weight.dtype, [&](auto weight) {
      using W = decltype(weight);
      launch(rmsnorm_heads_backward_kernel<T, W>,
             {.grid = dim3(blocks_for(d_at.rows, kHeadWarps)),
              .block = dim3(kHeadWarps * kWarp),
              .stream = queue(stream).stream,
              .name = "rmsnorm_heads_backward"},
             device_pointer<T>(op.dinout), device_pointer<T>(op.in), device_pointer<float>(op.rstd),
             device_pointer<W>(op.weight), d_at, in_at);
    });
  });
}

}  // namespace nibble::cuda
