// SPDX-License-Identifier: Apache-2.0
#include "kernels/rope.h"

#include "base/threads.h"
#include "kernels/args.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/rope.cpp"
#include <hwy/foreach_target.h>

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nibble {
namespace HWY_NAMESPACE {
namespace {

template <class T>
void rotate(const Rope& op, int64_t begin, int64_t end) {
  const int64_t half = op.head_dim / 2, heads = op.inout.dim(1) / op.head_dim;
  const Vec sign = set(op.rotation == Rotation::kForward ? 1.0f : -1.0f);
  for (int64_t n = begin; n < end; ++n) {
    const int64_t position = op.positions.as<int32_t>()[n];
    const float* cosines = op.cos.as<float>() + position * half;
    const float* sines = op.sin.as<float>() + position * half;
    T* row = op.inout.as<T>() + n * op.inout.row_stride;
    for_vectors(half, [&](int64_t i, auto part) {
      const Vec c = load(cosines + i, part), s = hn::Mul(sign, load(sines + i, part));
      for (int64_t h = 0; h < heads; ++h) {
        T* low = row + h * op.head_dim + i;
        T* high = low + half;
        const Vec a = load(low, part), b = load(high, part);
        store(hn::NegMulAdd(b, s, hn::Mul(a, c)), low, part);
        store(hn::MulAdd(a, s, hn::Mul(b, c)), high, part);
      }
    });
  }
}

void rotate_rows(const Rope& op, int64_t begin, int64_t end) {
  with_float(op.inout.dtype, [&](auto t) { rotate<decltype(t)>(op, begin, end); });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace nibble
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nibble {
namespace {
HWY_EXPORT(rotate_rows);
}  // namespace

namespace cpu {

void rope(const Rope& op, Stream) {
  CHECK(all_below(op.positions, op.cos.dim(0)));
  parallel_for(op.inout.dim(0), row_grain(op.inout.dim(1)), [&op](int64_t begin, int64_t end) {
    NIBBLE_SIMD(rotate_rows)(op, begin, end);
  });
}

}  // namespace cpu

void rope(const Rope& op, Stream stream) {
  const Args args("rope", stream);
  args.require(op.head_dim > 0 && op.head_dim % 2 == 0, "head_dim is not even");
  args.require(op.inout.rank == 2 && op.inout.dim(1) % op.head_dim == 0,
               "inout is not whole heads");
  args.require(op.cos.rank == 2, "cos is not a matrix");
  const int64_t n = op.inout.dim(0), p = op.cos.dim(0), half = op.head_dim / 2;
  args.check("inout", op.inout, NIBBLE_FLOATS, {n, op.inout.dim(1)}, RowStride::kFree);
  args.check("cos", op.cos, {Dtype::kF32}, {p, half});
  args.check("sin", op.sin, {Dtype::kF32}, {p, half});
  args.check("positions", op.positions, {Dtype::kI32}, {n});
  args.work(0.0, 2.0 * tensor_bytes(op.inout) + 4.0 * static_cast<double>(n * op.head_dim));
  NIBBLE_CALL_TWIN(args, rope, op, stream);
}

}  // namespace nibble
#endif  // HWY_ONCE
