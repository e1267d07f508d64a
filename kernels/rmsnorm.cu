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

template <class T, class W, int kCount, bool kKeep>
__global__ void __launch_bounds__(kMostThreads)
    rmsnorm_forward_kernel(T* out, int64_t out_stride, float* rstd, T* sum, const T* in,
                           const T* delta, const W* weight, int64_t c, float eps) {
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
    if (kKeep) write_apart(kept, c, i, x);  // and it alone reads it again
#pragma unroll
    for (int k = 0; k < kCount; ++k) squares += x.v[k] * x.v[k];
  }
  const float scale = 1.0f / sqrtf(block_sum(squares, room) / static_cast<float>(c) + eps);
  if (rstd && threadIdx.x == 0) rstd[blockIdx.x] = scale;
  const T* stored = delta ? sum : in;
  T* const out_row = out + static_cast<int64_t>(blockIdx.x) * out_stride;
  for (int64_t i = first; i < c; i += step) {
    Floats<kCount> x = kKeep ? read_apart<kCount>(kept, c, i) : read<kCount>(stored + row + i);
    const Floats<kCount> w = read<kCount>(weight + i);
#pragma unroll
    for (int k = 0; k < kCount; ++k) x.v[k] = x.v[k] * scale * w.v[k];
    write(out_row + i, x);
  }
}

// All of a multiprocessor's threads: while some blocks wait for their sum, the others' reads keep
// memory busy. Columns are counted in 32 bits, which leaves registers enough for that.
#if defined(__CUDA_ARCH__) && \
    (__CUDA_ARCH__ / 10 == 86 || __CUDA_ARCH__ / 10 == 89 || __CUDA_ARCH__ >= 1200)
constexpr int kBackwardBlocks = 1536 / kMostThreads;
#else
constexpr int kBackwardBlocks = 2048 / kMostThreads;
#endif
template <class T, class W, int kCount, bool kKeep>
__global__ void __launch_bounds__(kMostThreads, kBackwardBlocks)
    rmsnorm_backward_kernel(T* din, int64_t din_stride, const T* dout, const T* in,
                            const float* rstd, const W* weight, int c) {
  NIBBLE_DYNAMIC_SHARED(float, kept);  // x, then g
  __shared__ float room[kWarp];
  const int64_t row = static_cast<int64_t>(blockIdx.x) * c;
  const int first = static_cast<int>(threadIdx.x) * kCount;
  const int step = static_cast<int>(blockDim.x) * kCount;
  float products = 0.0f;
  for (int i = first; i < c; i += step) {
    const Floats<kCount> x = read<kCount>(in + row + i), w = read<kCount>(weight + i);
    Floats<kCount> g = read<kCount>(dout + row + i);
#pragma unroll
    for (int k = 0; k < kCount; ++k) {
      g.v[k] *= w.v[k];
      products += g.v[k] * x.v[k];
    }
    if (kKeep) {
      write_apart(kept, c, i, x);
      write_apart(kept + c, c, i, g);
    }
  }
  T* const din_row = din + static_cast<int64_t>(blockIdx.x) * din_stride;
  const float scale = rstd[blockIdx.x];
  const float mean = block_sum(products, room) / static_cast<float>(c) * scale * scale;
  for (int i = first; i < c; i += step) {
    Floats<kCount> x, g, d = read<kCount>(din_row + i);
    if (kKeep) {
      x = read_apart<kCount>(kept, c, i);
      g = read_apart<kCount>(kept + c, c, i);
    } else {
      x = read<kCount>(in + row + i);
      g = read<kCount>(dout + row + i);
      const Floats<kCount> w = read<kCount>(weight + i);
#pragma unroll
      for (int k = 0; k < kCount; ++k) g.v[k] *= w.v[k];
    }
#pragma unroll
    for (int k = 0; k < kCount; ++k) d.v[k] += scale * (g.v[k] - x.v[k] * mean);
    write(din_row + i, d);
  }
}

constexpr int kHeadWarps = 8;

struct HeadRows {
  int heads;
  int64_t stride, d;
  __device__ __forceinline__ int64_t offset(int64_t row) const {
    const auto n = static_cast<int>(row);
    return n / heads * stride + n % heads * d;
  }
};

__device__ __forceinline__ int64_t head_of_warp() {
  return static_cast<int64_t>(blockIdx.x) * kHeadWarps + threadIdx.x / kWarp;
}

// Heads: a warp each, element by element, read twice; whatever qk.cu does not take.
template <class T, class W>
__global__ void __launch_bounds__(kHeadWarps* kWarp)
    rmsnorm_heads_forward_kernel(T* inout, float* rstd, const W* weight, int64_t rows, HeadRows at,
                                 float eps) {
  const int64_t row = head_of_warp();
  if (row >= rows) return;
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
                                  int64_t rows, HeadRows d_at, HeadRows in_at) {
  const int64_t row = head_of_warp();
  if (row >= rows) return;
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

// body(T(), W(), count, keeps, launch) for a kernel of a block a row that keeps so many floats a
// column and reads all these tensors `count` elements at a time.
template <class Body>
void for_rows(const char* name, const Tensor& in, const Tensor& weight,
              std::initializer_list<Tensor> others, int64_t kept, Stream stream, const Body& body) {
  const int64_t n = in.dim(0), c = in.dim(1);
  if (n == 0) return;
  const size_t bytes = static_cast<size_t>(kept * c) * sizeof(float);
  const bool keeps = bytes <= kMostShared;
  with_float_type(in.dtype, [&](auto type) {
    using T = decltype(type);
    bool wide = wide_rows(in, c, kWide<T>) && wide_rows(weight, c, kWide<T>);
    for (const Tensor& t : others) wide = wide && wide_rows(t, c, kWide<T>);
    with_float_type(weight.dtype, [&](auto w) {
      with_width<T>(wide, [&](auto count) {
        const Launch where = {.grid = dim3(blocks_for(n, 1)),
                              .block = dim3(threads_for(c, decltype(count)::value)),
                              .shared_bytes = keeps ? bytes : 0,
                              .stream = queue(stream).stream,
                              .name = name};
        if (keeps)
          body(type, w, count, std::true_type(), where);
        else
          body(type, w, count, std::false_type(), where);
      });
    });
  });
}

HeadRows head_rows(const Tensor& t, int64_t heads, int64_t d) {
  return {static_cast<int>(heads), t.row_stride, d};
}

// body(T(), W(), launch) for a kernel of a warp a head.
template <class Body>
void for_heads(const char* name, const Tensor& heads, const Tensor& weight, int64_t rows,
               Stream stream, const Body& body) {
  with_float_type(heads.dtype, [&](auto type) {
    with_float_type(weight.dtype, [&](auto w) {
      body(type, w,
           {.grid = dim3(blocks_for(rows, kHeadWarps)),
            .block = dim3(kHeadWarps * kWarp),
            .stream = queue(stream).stream,
            .name = name});
    });
  });
}

}  // namespace

void rmsnorm_forward(const RmsnormForward& op, Stream stream) {
  for_rows("rmsnorm_forward", op.in, op.weight, {op.out, op.sum, op.delta}, 1, stream,
           [&](auto type, auto weight, auto count, auto keeps, const Launch& where) {
             using T = decltype(type);
             using W = decltype(weight);
             launch(rmsnorm_forward_kernel<T, W, decltype(count)::value, decltype(keeps)::value>,
                    where, device_pointer<T>(op.out), op.out.row_stride,
                    device_pointer<float>(op.rstd), device_pointer<T>(op.sum),
                    device_pointer<T>(op.in), device_pointer<T>(op.delta),
                    device_pointer<W>(op.weight), op.in.dim(1), op.eps);
           });
}

void rmsnorm_backward(const RmsnormBackward& op, Stream stream) {
  const int64_t n = op.in.dim(0), c = op.in.dim(1);
  CHECK(c <= INT32_MAX / 2);  // a step beyond the last column is a number too
  for_rows("rmsnorm_backward", op.in, op.weight, {op.din, op.dout}, 2, stream,
           [&](auto type, auto weight, auto count, auto keeps, const Launch& where) {
             using T = decltype(type);
             using W = decltype(weight);
             launch(rmsnorm_backward_kernel<T, W, decltype(count)::value, decltype(keeps)::value>,
                    where, device_pointer<T>(op.din), op.din.row_stride, device_pointer<T>(op.dout),
                    device_pointer<T>(op.in), device_pointer<float>(op.rstd),
                    device_pointer<W>(op.weight), static_cast<int>(c));
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
  const int64_t rows = op.rstd.elements();
  if (rows == 0) return;
  CHECK(rows <= INT32_MAX);
  const HeadRows at = head_rows(op.inout, op.rstd.dim(1), op.weight.dim(0));
  for_heads("rmsnorm_heads_forward", op.inout, op.weight, rows, stream,
            [&](auto type, auto weight, const Launch& where) {
              using T = decltype(type);
              using W = decltype(weight);
              launch(rmsnorm_heads_forward_kernel<T, W>, where, device_pointer<T>(op.inout),
                     device_pointer<float>(op.rstd), device_pointer<W>(op.weight), rows, at,
                     op.eps);
            });
}

void rmsnorm_heads_backward(const RmsnormHeadsBackward& op, Stream stream) {
  const int64_t rows = op.rstd.elements(), heads = op.rstd.dim(1), d = op.weight.dim(0);
  if (rows == 0) return;
  CHECK(rows <= INT32_MAX);
  const HeadRows d_at = head_rows(op.dinout, heads, d), in_at = head_rows(op.in, heads, d);
  // The weight's gradient first: the gradient of the output is then overwritten.
  if (op.dweight)
    with_float_type(op.dinout.dtype, [&](auto type) {
      using T = decltype(type);
      add_column_sums(WeightGradient<T>{device_pointer<T>(op.dinout), device_pointer<T>(op.in),
                                        device_pointer<float>(op.rstd), d_at, in_at},
                      op.dweight, rows, stream, "rmsnorm_heads_backward");
    });
  for_heads("rmsnorm_heads_backward", op.dinout, op.weight, rows, stream,
            [&](auto type, auto weight, const Launch& where) {
              using T = decltype(type);
              using W = decltype(weight);
              launch(rmsnorm_heads_backward_kernel<T, W>, where, device_pointer<T>(op.dinout),
                     device_pointer<T>(op.in), device_pointer<float>(op.rstd),
                     device_pointer<W>(op.weight), rows, d_at, in_at);
            });
}

}  // namespace nibble::cuda
