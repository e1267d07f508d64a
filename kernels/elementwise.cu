// SPDX-License-Identifier: Apache-2.0
#include "kernels/elementwise.h"

#include <array>

#include "base/rng.h"
#include "kernels/cuda/column_sums.h"
#include "kernels/cuda/twins.h"
#include "kernels/cuda/values.h"

namespace nibble::cuda {
namespace {

// Rows as the kernels go over them: a dense tensor is one long row.
struct Rows {
  int64_t rows, width;
};

Rows rows_of(const Tensor& a, const Tensor& b) {
  if (a.dense() && b.dense()) return {1, a.elements()};
  return {a.dim(0), a.row_elements()};
}

// The wider of two types sets how many elements an access takes: then neighbouring lanes' accesses
// of both lie side by side.
template <class A, class B>
using Wider = std::conditional_t<(sizeof(A) < sizeof(B)), B, A>;

// How far one row of the sweep lies from the next.
int64_t stride_of(const Tensor& t, const Rows& rows) {
  return rows.rows == 1 ? rows.width : t.row_stride;
}

template <class Out, class In, int kCount>
__global__ void __launch_bounds__(kRowThreads)
    accumulate_kernel(Out* out, const In* in, int64_t out_stride, int64_t in_stride, int64_t width,
                      float alpha, float beta, int parts) {
  const auto [row, column] = row_part<kCount>(parts);
  if (column >= width) return;
  Floats<kCount> x = read<kCount>(in + row * in_stride + column);
  Out* place = out + row * out_stride + column;
  if (beta != 0.0f) {
    const Floats<kCount> y = read<kCount>(place);
#pragma unroll
    for (int i = 0; i < kCount; ++i) x.v[i] = y.v[i] * beta + x.v[i] * alpha;
  } else if (alpha != 1.0f) {  // a copy keeps every bit of a NaN
#pragma unroll
    for (int i = 0; i < kCount; ++i) x.v[i] *= alpha;
  }
  write(place, x);
}

void sweep(const Tensor& out, const Tensor& in, float alpha, float beta, Stream stream,
           const char* name) {
  if (out.elements() == 0) return;
  const Rows rows = rows_of(out, in);
  with_float_type(out.dtype, [&](auto to) {
    with_weight_type(in.dtype, [&](auto from) {
      using Out = decltype(to);
      using In = decltype(from);
      using Wide = Wider<Out, In>;
      const bool wide =
          wide_rows(out, rows.width, kWide<Wide>) && wide_rows(in, rows.width, kWide<Wide>);
      with_width<Wide>(wide, [&](auto count) {
        constexpr int kCount = decltype(count)::value;
        const RowGrid grid = row_grid<kCount>(rows.rows, rows.width, stream, name);
        launch(accumulate_kernel<Out, In, kCount>, grid.launch, device_pointer<Out>(out),
               device_pointer<In>(in), stride_of(out, rows), stride_of(in, rows), rows.width, alpha,
               beta, grid.parts);
      });
    });
  });
}

// Some rows a block, which read the bias once.
constexpr int kBiasRows = 4;

template <class T, class B, int kCount>
__global__ void __launch_bounds__(kRowThreads)
    bias_forward_kernel(T* inout, const B* bias, int64_t stride, int64_t rows, int64_t width,
                        int parts) {
  const auto [group, column] = row_part<kCount>(parts);
  if (column >= width) return;
  const int64_t first = group * kBiasRows;
  const auto count = static_cast<int>(min(rows - first, int64_t{kBiasRows}));
  T* const place = inout + first * stride + column;
  const Floats<kCount> b = read<kCount>(bias + column);
  Floats<kCount> x[kBiasRows];
#pragma unroll
  for (int r = 0; r < kBiasRows; ++r)
    if (r < count) x[r] = read<kCount>(place + r * stride);
#pragma unroll
  for (int r = 0; r < kBiasRows; ++r) {
    if (r >= count) continue;
#pragma unroll
    for (int i = 0; i < kCount; ++i) x[r].v[i] += b.v[i];
    write(place + r * stride, x[r]);
  }
}

template <class T>
struct BiasGradient {
  const T* dout;
  int64_t stride;
  __device__ __forceinline__ float operator()(int64_t row, int64_t column) const {
    return to_f32(dout[row * stride + column]);
  }
};

// A thread takes the four elements of one draw; the last draw may be cut.
struct Draws {
  uint64_t seed, stream, counter;
  const int32_t* draw;
  __device__ __forceinline__ std::array<uint32_t, 4> words(int64_t group) const {
    const uint64_t first = draw ? static_cast<uint64_t>(*draw) << kDrawShift : 0;
    return philox(seed, stream, counter + first + static_cast<uint64_t>(group));
  }
};

template <class T, int kCount>
__device__ __forceinline__ Floats<4> read_four(const T* p, int64_t left) {
  Floats<4> x{};
  if constexpr (kCount == 4)
    x = read<4>(p);
  else
    for (int i = 0; i < 4 && i < left; ++i) x.v[i] = to_f32(p[i]);
  return x;
}
template <class T, int kCount>
__device__ __forceinline__ void write_four(T* p, int64_t left, const Floats<4>& x) {
  if constexpr (kCount == 4)
    write(p, x);
  else
    for (int i = 0; i < 4 && i < left; ++i) p[i] = from_f32<T>(x.v[i]);
}

template <class T, int kCount>
__global__ void __launch_bounds__(kRowThreads)
    dropout_kernel(T* out, const T* in, int64_t elements, Draws draws, float p, float scale,
                   bool add) {
  const int64_t group = static_cast<int64_t>(blockIdx.x) * kRowThreads + threadIdx.x;
  const int64_t at = group * 4, left = elements - at;
  if (left <= 0) return;
  const auto words = draws.words(group);
  Floats<4> x = read_four<T, kCount>(in + at, left);
#pragma unroll
  for (int i = 0; i < 4; ++i) x.v[i] = unit_float(words[i]) >= p ? x.v[i] * scale : 0.0f;
  if (add) {
    const Floats<4> y = read_four<T, kCount>(out + at, left);
#pragma unroll
    for (int i = 0; i < 4; ++i) x.v[i] += y.v[i];
  }
  write_four<T, kCount>(out + at, left, x);
}

template <class T, int kCount>
__global__ void __launch_bounds__(kRowThreads)
    uniform_noise_kernel(T* inout, const float* scales, int64_t elements, int64_t c, Draws draws) {
  const int64_t group = static_cast<int64_t>(blockIdx.x) * kRowThreads + threadIdx.x;
  const int64_t at = group * 4, left = elements - at;
  if (left <= 0) return;
  const auto words = draws.words(group);
  Floats<4> x = read_four<T, kCount>(inout + at, left);
#pragma unroll
  for (int i = 0; i < 4; ++i)
    if (i < left) x.v[i] = fmaf(2.0f * unit_float(words[i]) - 1.0f, scales[(at + i) / c], x.v[i]);
  write_four<T, kCount>(inout + at, left, x);
}

// launch_kernel(T(), whole): whole where every four elements are one access.
template <class Body>
void with_fours(const Tensor& a, const Tensor& b, const Body& body) {
  const auto aligned = [](const Tensor& t) {
    return reinterpret_cast<uintptr_t>(t.data) % 16 == 0;
  };
  const bool whole = aligned(a) && aligned(b) && a.elements() % 4 == 0;
  with_float_type(a.dtype, [&](auto type) {
    if (whole)
      body(type, std::integral_constant<int, 4>());
    else
      body(type, std::integral_constant<int, 1>());
  });
}

Launch flat_launch(int64_t elements, Stream stream, const char* name) {
  return {.grid = dim3(blocks_for(elements, 4 * kRowThreads)),
          .block = dim3(kRowThreads),
          .stream = queue(stream).stream,
          .name = name};
}

}  // namespace

void cast(const Cast& op, Stream stream) {
  sweep(op.out, op.in, 1.0f, 0.0f, stream, "cast");
}

void accumulate(const Accumulate& op, Stream stream) {
  sweep(op.out, op.in, op.alpha, op.beta, stream, "accumulate");
}

void bias_forward(const BiasForward& op, Stream stream) {
  const int64_t n = op.inout.dim(0), width = op.bias.dim(0);
  if (n == 0 || width == 0) return;
  with_float_type(op.inout.dtype, [&](auto type) {
    with_weight_type(op.bias.dtype, [&](auto weight) {
      using T = decltype(type);
      using B = decltype(weight);
      using Wide = Wider<T, B>;
      const bool wide =
          wide_rows(op.inout, width, kWide<Wide>) && wide_rows(op.bias, width, kWide<Wide>);
      with_width<Wide>(wide, [&](auto count) {
        constexpr int kCount = decltype(count)::value;
        const RowGrid grid =
            row_grid<kCount>(blocks_for(n, kBiasRows), width, stream, "bias_forward");
        launch(bias_forward_kernel<T, B, kCount>, grid.launch, device_pointer<T>(op.inout),
               device_pointer<B>(op.bias), op.inout.row_stride, n, width, grid.parts);
      });
    });
  });
}

void bias_backward(const BiasBackward& op, Stream stream) {
  with_float_type(op.dout.dtype, [&](auto type) {
    using T = decltype(type);
    add_column_sums(BiasGradient<T>{device_pointer<T>(op.dout), op.dout.row_stride}, op.dbias,
                    op.dout.dim(0), stream, "bias_backward");
  });
}

void dropout(const Dropout& op, Stream stream) {
  const int64_t elements = op.out.elements();
  if (elements == 0) return;
  with_fours(op.out, op.in, [&](auto type, auto count) {
    using T = decltype(type);
    launch(dropout_kernel<T, decltype(count)::value>, flat_launch(elements, stream, "dropout"),
           device_pointer<T>(op.out), device_pointer<T>(op.in), elements,
           Draws{op.seed, op.stream, op.counter, device_pointer<int32_t>(op.draw)}, op.p,
           1.0f / (1.0f - op.p), op.output == Dropout::Output::kAdd);
  });
}

void uniform_noise(const UniformNoise& op, Stream stream) {
  const int64_t elements = op.inout.elements();
  if (elements == 0) return;
  with_fours(op.inout, op.inout, [&](auto type, auto count) {
    using T = decltype(type);
    launch(uniform_noise_kernel<T, decltype(count)::value>,
           flat_launch(elements, stream, "uniform_noise"), device_pointer<T>(op.inout),
           device_pointer<float>(op.scales), elements, op.inout.dim(1),
           Draws{op.seed, op.stream, op.counter, device_pointer<int32_t>(op.draw)});
  });
}

}  // namespace nibble::cuda
