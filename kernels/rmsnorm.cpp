// SPDX-License-Identifier: Apache-2.0
#include "kernels/rmsnorm.h"

#include <algorithm>
#include <cmath>

#include "base/threads.h"
#include "kernels/args.h"
#include "kernels/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/rmsnorm.cpp"
#include <hwy/foreach_target.h>

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nibble {
namespace HWY_NAMESPACE {
namespace {

/// rstd of one row.
template <class T>
HWY_INLINE float inverse_rms(const T* x, int64_t c, float eps) {
  const float squares = sum_vectors(c, [&](int64_t i, auto part) {
    const Vec v = load(x + i, part);
    return hn::Mul(v, v);
  });
  return 1.0f / std::sqrt(squares / static_cast<float>(c) + eps);
}

template <class T, class W>
HWY_INLINE void normalise(const T* x, const W* weight, float rstd, int64_t c, T* out) {
  for_vectors(c, [&](int64_t i, auto part) {
    store(hn::Mul(hn::Mul(load(x + i, part), set(rstd)), load(weight + i, part)), out + i, part);
  });
}

/// The gradient of one row's input, given to `put(i, gradient, part)`.
template <class T, class W, class Put>
HWY_INLINE void row_gradient(const T* dout, const T* x, const W* weight, float rstd, int64_t c,
                             const Put& put) {
  const float dot = sum_vectors(c, [&](int64_t i, auto part) {
    return hn::Mul(hn::Mul(load(dout + i, part), load(weight + i, part)), load(x + i, part));
  });
  const Vec pull = set(rstd * rstd * (dot / static_cast<float>(c)));
  for_vectors(c, [&](int64_t i, auto part) {
    const Vec g = hn::Mul(load(dout + i, part), load(weight + i, part));
    put(i, hn::Mul(set(rstd), hn::NegMulAdd(load(x + i, part), pull, g)), part);
  });
}

template <class T, class W>
void forward(const RmsnormForward& op, int64_t begin, int64_t end) {
  const int64_t c = op.in.dim(1);
  const W* weight = op.weight.as<W>();
  for (int64_t n = begin; n < end; ++n) {
    const T* x = op.in.as<T>() + n * c;
    if (op.delta) {
      const T* delta = op.delta.as<T>() + n * c;
      T* sum = op.sum.as<T>() + n * c;
      for_vectors(c, [&](int64_t i, auto part) {
        store(hn::Add(load(x + i, part), load(delta + i, part)), sum + i, part);
      });
      x = sum;
    }
    const float rstd = inverse_rms(x, c, op.eps);
    if (op.rstd) op.rstd.as<float>()[n] = rstd;
    normalise(x, weight, rstd, c, op.out.as<T>() + n * op.out.row_stride);
  }
}

template <class T, class W>
void backward(const RmsnormBackward& op, int64_t begin, int64_t end) {
  const int64_t c = op.in.dim(1);
  for (int64_t n = begin; n < end; ++n) {
    T* din = op.din.as<T>() + n * op.din.row_stride;
    row_gradient(op.dout.as<T>() + n * c, op.in.as<T>() + n * c, op.weight.as<W>(),
                 op.rstd.as<float>()[n], c, [&](int64_t i, Vec gradient, auto part) {
                   store(hn::Add(load(din + i, part), gradient), din + i, part);
                 });
  }
}

template <class T, class W>
void heads_forward(const RmsnormHeadsForward& op, int64_t begin, int64_t end) {
  const int64_t d = op.weight.dim(0), heads = op.rstd.dim(1);
  for (int64_t n = begin; n < end; ++n)
    for (int64_t h = 0; h < heads; ++h) {
      T* x = op.inout.as<T>() + n * op.inout.row_stride + h * d;
      const float rstd = inverse_rms(x, d, op.eps);
      op.rstd.as<float>()[n * heads + h] = rstd;
      normalise(x, op.weight.as<W>(), rstd, d, x);
    }
}

template <class T, class W>
void heads_backward(const RmsnormHeadsBackward& op, int64_t begin, int64_t end) {
  const int64_t d = op.weight.dim(0), heads = op.rstd.dim(1);
  for (int64_t n = begin; n < end; ++n)
    for (int64_t h = 0; h < heads; ++h) {
      T* dinout = op.dinout.as<T>() + n * op.dinout.row_stride + h * d;
      const T* x = op.in.as<T>() + n * op.in.row_stride + h * d;
      row_gradient(dinout, x, op.weight.as<W>(), op.rstd.as<float>()[n * heads + h], d,
                   [&](int64_t i, Vec gradient, auto part) { store(gradient, dinout + i, part); });
    }
}

/// dweight[c] += sum over rows of dout * x * rstd, for columns [begin, end): rows in order, 32 at a
/// time in a sum of their own, so the bits depend on no thread. A row of dout and x holds `heads`
/// rows here.
template <class T>
void weight_gradient(const Tensor& dweight, const Tensor& dout, const Tensor& in, const float* rstd,
                     int64_t heads, int64_t begin, int64_t end) {
  constexpr int64_t kRows = 32, kColumns = 1024;  // 4 KiB of sums stay in the nearest cache
  const int64_t d = dweight.dim(0), rows = dout.dim(0) * heads;
  alignas(64) float sums[kColumns];
  for (int64_t first = begin; first < end; first += kColumns) {
    const int64_t width = std::min(kColumns, end - first);
    float* out = dweight.as<float>() + first;
    for (int64_t r = 0; r < rows; r += kRows) {
      std::fill_n(sums, width, 0.0f);
      for (int64_t k = r; k < std::min(rows, r + kRows); ++k) {
        const int64_t n = k / heads, column = k % heads * d + first;
        const T* g = dout.as<T>() + n * dout.row_stride + column;
        const T* x = in.as<T>() + n * in.row_stride + column;
        for_vectors(width, [&](int64_t i, auto part) {
          const Vec product = hn::Mul(load(g + i, part), load(x + i, part));
          store(hn::MulAdd(product, set(rstd[k]), load(sums + i, part)), sums + i, part);
        });
      }
      for_vectors(width, [&](int64_t i, auto part) {
        store(hn::Add(load(out + i, part), load(sums + i, part)), out + i, part);
      });
    }
  }
}

template <class Call>
HWY_INLINE void with_types(const Tensor& data, const Tensor& weight, const Call& call) {
  with_float(data.dtype, [&](auto t) { with_float(weight.dtype, [&](auto w) { call(t, w); }); });
}

void forward_rows(const RmsnormForward& op, int64_t begin, int64_t end) {
  with_types(op.in, op.weight,
             [&](auto t, auto w) { forward<decltype(t), decltype(w)>(op, begin, end); });
}
void backward_rows(const RmsnormBackward& op, int64_t begin, int64_t end) {
  with_types(op.in, op.weight,
             [&](auto t, auto w) { backward<decltype(t), decltype(w)>(op, begin, end); });
}
void backward_columns(const RmsnormBackward& op, int64_t begin, int64_t end) {
  with_float(op.in.dtype, [&](auto t) {
    weight_gradient<decltype(t)>(op.dweight, op.dout, op.in, op.rstd.as<float>(), 1, begin, end);
  });
}
void heads_forward_rows(const RmsnormHeadsForward& op, int64_t begin, int64_t end) {
  with_types(op.inout, op.weight,
             [&](auto t, auto w) { heads_forward<decltype(t), decltype(w)>(op, begin, end); });
}
void heads_backward_rows(const RmsnormHeadsBackward& op, int64_t begin, int64_t end) {
  with_types(op.in, op.weight,
             [&](auto t, auto w) { heads_backward<decltype(t), decltype(w)>(op, begin, end); });
}
void heads_backward_columns(const RmsnormHeadsBackward& op, int64_t begin, int64_t end) {
  with_float(op.in.dtype, [&](auto t) {
    weight_gradient<decltype(t)>(op.dweight, op.dinout, op.in, op.rstd.as<float>(), op.rstd.dim(1),
                                 begin, end);
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace nibble
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nibble {
namespace {
HWY_EXPORT(forward_rows);
HWY_EXPORT(backward_rows);
HWY_EXPORT(backward_columns);
HWY_EXPORT(heads_forward_rows);
HWY_EXPORT(heads_backward_rows);
HWY_EXPORT(heads_backward_columns);
}  // namespace

namespace cpu {

void rmsnorm_forward(const RmsnormForward& op, Stream) {
  parallel_pieces(op.in.dim(0), row_grain(op.in.dim(1)), [&op](int64_t begin, int64_t end) {
    NIBBLE_SIMD(forward_rows)(op, begin, end);
  });
}

void rmsnorm_backward(const RmsnormBackward& op, Stream) {
  parallel_pieces(op.in.dim(0), row_grain(op.in.dim(1)), [&op](int64_t begin, int64_t end) {
    NIBBLE_SIMD(backward_rows)(op, begin, end);
  });
  if (!op.dweight) return;
  parallel_for(op.dweight.dim(0), kColumnGrain, [&op](int64_t begin, int64_t end) {
    NIBBLE_SIMD(backward_columns)(op, begin, end);
  });
}

void rmsnorm_heads_forward(const RmsnormHeadsForward& op, Stream) {
  parallel_for(op.inout.dim(0), row_grain(op.inout.dim(1)), [&op](int64_t begin, int64_t end) {
    NIBBLE_SIMD(heads_forward_rows)(op, begin, end);
  });
}

void rmsnorm_heads_backward(const RmsnormHeadsBackward& op, Stream) {
  // The weight's gradient first: the gradient of the output is then overwritten.
  if (op.dweight)
    parallel_for(op.dweight.dim(0), kColumnGrain, [&op](int64_t begin, int64_t end) {
      NIBBLE_SIMD(heads_backward_columns)(op, begin, end);
    });
  parallel_for(op.in.dim(0), row_grain(op.in.dim(1)), [&op](int64_t begin, int64_t end) {
    NIBBLE_SIMD(heads_backward_rows)(op, begin, end);
  });
}

}  // namespace cpu

void rmsnorm_forward(const RmsnormForward& op, Stream stream) {
  const Args args("rmsnorm_forward", stream);
  args.require(op.in.rank == 2 && op.in.dim(1) > 0, "in is not a matrix");
  const int64_t n = op.in.dim(0), c = op.in.dim(1);
  args.check("in", op.in, NIBBLE_FLOATS, {n, c});
  args.check("out", op.out, {op.in.dtype}, {n, c}, RowStride::kFree);
  args.check("weight", op.weight, NIBBLE_FLOATS, {c});
  if (op.rstd) args.check("rstd", op.rstd, {Dtype::kF32}, {n});
  if (op.delta) {
    args.check("delta", op.delta, {op.in.dtype}, {n, c});
    args.check("sum", op.sum, {op.in.dtype}, {n, c});
  }
  NIBBLE_CALL_TWIN(args, rmsnorm_forward, op, stream);
}

void rmsnorm_backward(const RmsnormBackward& op, Stream stream) {
  const Args args("rmsnorm_backward", stream);
  args.require(op.in.rank == 2 && op.in.dim(1) > 0, "in is not a matrix");
  const int64_t n = op.in.dim(0), c = op.in.dim(1);
  args.check("din", op.din, NIBBLE_FLOATS, {n, c}, RowStride::kFree);
  args.check("dout", op.dout, {op.din.dtype}, {n, c});
  args.check("in", op.in, {op.din.dtype}, {n, c});
  args.check("rstd", op.rstd, {Dtype::kF32}, {n});
  args.check("weight", op.weight, NIBBLE_FLOATS, {c});
  if (op.dweight) args.check("dweight", op.dweight, {Dtype::kF32}, {c});
  NIBBLE_CALL_TWIN(args, rmsnorm_backward, op, stream);
}

void rmsnorm_heads_forward(const RmsnormHeadsForward& op, Stream stream) {
  const Args args("rmsnorm_heads_forward", stream);
  args.require(op.rstd.rank == 2 && op.weight.rank == 1 && op.weight.dim(0) > 0,
               "rstd is not a matrix or weight not a vector");
  const int64_t n = op.rstd.dim(0), heads = op.rstd.dim(1), d = op.weight.dim(0);
  args.check("inout", op.inout, NIBBLE_FLOATS, {n, heads * d}, RowStride::kFree);
  args.check("rstd", op.rstd, {Dtype::kF32}, {n, heads});
  args.check("weight", op.weight, NIBBLE_FLOATS, {d});
  NIBBLE_CALL_TWIN(args, rmsnorm_heads_forward, op, stream);
}

void rmsnorm_heads_backward(const RmsnormHeadsBackward& op, Stream stream) {
  const Args args("rmsnorm_heads_backward", stream);
  args.require(op.rstd.rank == 2 && op.weight.rank == 1 && op.weight.dim(0) > 0,
               "rstd is not a matrix or weight not a vector");
  const int64_t n = op.rstd.dim(0), heads = op.rstd.dim(1), d = op.weight.dim(0);
  args.check("dinout", op.dinout, NIBBLE_FLOATS, {n, heads * d}, RowStride::kFree);
  args.check("in", op.in, {op.dinout.dtype}, {n, heads * d}, RowStride::kFree);
  args.check("rstd", op.rstd, {Dtype::kF32}, {n, heads});
  args.check("weight", op.weight, NIBBLE_FLOATS, {d});
  if (op.dweight) args.check("dweight", op.dweight, {Dtype::kF32}, {d});
  NIBBLE_CALL_TWIN(args, rmsnorm_heads_backward, op, stream);
}

}  // namespace nibble
#endif  // HWY_ONCE
