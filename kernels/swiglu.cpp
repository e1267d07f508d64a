// SPDX-License-Identifier: Apache-2.0
#include "kernels/swiglu.h"

#include "base/threads.h"
#include "kernels/args.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/swiglu.cpp"
#include <hwy/foreach_target.h>

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nibble {
namespace HWY_NAMESPACE {
namespace {

template <class T>
void forward(const SwigluForward& op, int64_t begin, int64_t end) {
  const int64_t f = op.out.dim(1);
  for (int64_t n = begin; n < end; ++n) {
    const T* gate = op.gate_up.as<T>() + n * op.gate_up.row_stride;
    const T* up = gate + f;
    T* out = op.out.as<T>() + n * op.out.row_stride;
    for_vectors(f, [&](int64_t i, auto part) {
      const Vec g = load(gate + i, part);
      store(hn::Mul(hn::Mul(g, sigmoid(g)), load(up + i, part)), out + i, part);
    });
  }
}

template <class T>
void backward(const SwigluBackward& op, int64_t begin, int64_t end) {
  const int64_t f = op.dout.dim(1);
  for (int64_t n = begin; n < end; ++n) {
    const T* gate = op.gate_up.as<T>() + n * op.gate_up.row_stride;
    const T* up = gate + f;
    const T* dout = op.dout.as<T>() + n * op.dout.row_stride;
    T* dgate = op.dgate_up.as<T>() + n * op.dgate_up.row_stride;
    T* dup = dgate + f;
    T* out = op.out ? op.out.as<T>() + n * op.out.row_stride : nullptr;
    for_vectors(f, [&](int64_t i, auto part) {
      const Vec g = load(gate + i, part), u = load(up + i, part), d = load(dout + i, part);
      const Vec s = sigmoid(g);
      const Vec silu = hn::Mul(g, s);
      // s (1 + g (1 - s)) = s + silu (1 - s)
      const Vec slope = hn::MulAdd(silu, hn::Sub(set(1.0f), s), s);
      if (out) store(hn::Mul(silu, u), out + i, part);
      store(hn::Mul(hn::Mul(d, u), slope), dgate + i, part);
      store(hn::Mul(d, silu), dup + i, part);
    });
  }
}

void forward_rows(const SwigluForward& op, int64_t begin, int64_t end) {
  with_float(op.out.dtype, [&](auto t) { forward<decltype(t)>(op, begin, end); });
}
void backward_rows(const SwigluBackward& op, int64_t begin, int64_t end) {
  with_float(op.dout.dtype, [&](auto t) { backward<decltype(t)>(op, begin, end); });
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
}  // namespace

namespace cpu {

void swiglu_forward(const SwigluForward& op, Stream) {
  parallel_pieces(op.out.dim(0), row_grain(op.out.dim(1)), [&op](int64_t begin, int64_t end) {
    NIBBLE_SIMD(forward_rows)(op, begin, end);
  });
}

void swiglu_backward(const SwigluBackward& op, Stream) {
  parallel_pieces(op.dout.dim(0), row_grain(op.dout.dim(1)), [&op](int64_t begin, int64_t end) {
    NIBBLE_SIMD(backward_rows)(op, begin, end);
  });
}

}  // namespace cpu

void swiglu_forward(const SwigluForward& op, Stream stream) {
  const Args args("swiglu_forward", stream);
  args.require(op.out.rank == 2, "out is not a matrix");
  const int64_t n = op.out.dim(0), f = op.out.dim(1);
  args.check("out", op.out, NIBBLE_FLOATS, {n, f}, RowStride::kFree);
  args.check("gate_up", op.gate_up, {op.out.dtype}, {n, 2 * f}, RowStride::kFree);
  NIBBLE_CALL_TWIN(args, swiglu_forward, op, stream);
}

void swiglu_backward(const SwigluBackward& op, Stream stream) {
  const Args args("swiglu_backward", stream);
  args.require(op.dout.rank == 2, "dout is not a matrix");
  const int64_t n = op.dout.dim(0), f = op.dout.dim(1);
  args.check("dout", op.dout, NIBBLE_FLOATS, {n, f}, RowStride::kFree);
  args.check("gate_up", op.gate_up, {op.dout.dtype}, {n, 2 * f}, RowStride::kFree);
  args.check("dgate_up", op.dgate_up, {op.dout.dtype}, {n, 2 * f}, RowStride::kFree);
  if (op.out) args.check("out", op.out, {op.dout.dtype}, {n, f}, RowStride::kFree);
  NIBBLE_CALL_TWIN(args, swiglu_backward, op, stream);
}

}  // namespace nibble
#endif  // HWY_ONCE
