// SPDX-License-Identifier: Apache-2.0
#include "kernels/elementwise.h"

#include "kernels/cuda/column_sums.h"
#include "kernels/cuda/draws.h"
#include "kernels/cuda/row_units.h"
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

// A matrix whose elements are numbered as if it were dense, `gap` more between its rows.
template <class T>
struct Gapped {
  T* data;
  int64_t gap;
};

template <class T>
__global__ void __launch_bounds__(kRowThreads)
    dropout_kernel(Gapped<T> out, Gapped<const T> in, int64_t elements, RowUnits rows, Draws draws,
                   float p, float scale, bool add) {
  const int64_t group = static_cast<int64_t>(blockIdx.x) * kRowThreads + threadIdx.x;
  if (group * 4 >= elements) return;
  const int64_t row = rows.row_of(group);
  T* const place = out.data + group * 4 + row * out.gap;
  const auto words = draws.words(group);
  Floats<4> x = read<4>(in.data + group * 4 + row * in.gap);
#pragma unroll
  for (int i = 0; i < 4; ++i) x.v[i] = dropped(x.v[i], words[i], p, scale);
  if (add) {
    const Floats<4> y = read<4>(place);
#pragma unroll
    for (int i = 0; i < 4; ++i) x.v[i] += y.v[i];
  }
  write(place, x);
}

// Any shape.
template <class T>
__global__ void __launch_bounds__(kRowThreads)
    dropout_each_kernel(Gapped<T> out, Gapped<const T> in, int64_t elements, int64_t width,
                        Draws draws, float p, float scale, bool add) {
  const int64_t group = static_cast<int64_t>(blockIdx.x) * kRowThreads + threadIdx.x;
  const auto words = draws.words(group);
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int64_t at = group * 4 + i;
    if (at >= elements) return;
    T* const place = out.data + at + at / width * out.gap;
    const float x = dropped(to_f32(in.data[at + at / width * in.gap]), words[i], p, scale);
    *place = from_f32<T>(add ? x + to_f32(*place) : x);
  }
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

// Whether every four elements are one access.
bool in_fours(const Tensor& t, const Rows& rows) {
  return reinterpret_cast<uintptr_t>(t.data) % 16 == 0 && rows.width % 4 == 0 &&
         stride_of(t, rows) % 4 == 0;
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
  const Rows rows = rows_of(op.out, op.in);
  with_float_type(op.out.dtype, [&](auto type) {
    using T = decltype(type);
    const Gapped<T> out{device_pointer<T>(op.out), stride_of(op.out, rows) - rows.width};
    const Gapped<const T> in{device_pointer<T>(op.in), stride_of(op.in, rows) - rows.width};
    const Draws draws{op.seed, op.stream, op.counter, device_pointer<int32_t>(op.draw)};
    const float scale = 1.0f / (1.0f - op.p);
    const bool add = op.output == Dropout::Output::kAdd;
    const Launch where = flat_launch(elements, stream, "dropout");
    if (in_fours(op.out, rows) && in_fours(op.in, rows) && elements / 4 <= INT32_MAX)
      launch(dropout_kernel<T>, where, out, in, elements, RowUnits(rows.width / 4), draws, op.p,
             scale, add);
    else
      launch(dropout_each_kernel<T>, where, out, in, elements, rows.width, draws, op.p, scale, add);
  });
}

void uniform_noise(const UniformNoise& op, Stream stream) {
  const int64_t elements = op.inout.elements();
  if (elements == 0) return;
  const bool fours = in_fours(op.inout, {1, elements});
  with_float_type(op.inout.dtype, [&](auto type) {
    using T = decltype(type);
    const auto start = [&](const auto& kernel) {
      launch(kernel, flat_launch(elements, stream, "uniform_noise"), device_pointer<T>(op.inout),
             device_pointer<float>(op.scales), elements, op.inout.dim(1),
             Draws{op.seed, op.stream, op.counter, device_pointer<int32_t>(op.draw)});
    };
    if (fours)
      start(uniform_noise_kernel<T, 4>);
    else
      start(uniform_noise_kernel<T, 1>);
  });
}

}  // namespace nibble::cuda
