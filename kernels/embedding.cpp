// SPDX-License-Identifier: Apache-2.0
#include "kernels/embedding.h"

#include <cstring>

#include "base/threads.h"
#include "kernels/args.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/embedding.cpp"
#include <hwy/foreach_target.h>

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nibble {
namespace HWY_NAMESPACE {
namespace {

template <class T, class W>
void forward(const EmbeddingForward& op, int64_t begin, int64_t end) {
  const int64_t c = op.table.dim(1);
  const int32_t* ids = op.ids.as<int32_t>();
  for (int64_t n = begin; n < end; ++n) {
    const W* row = op.table.as<W>() + ids[n] * c;
    T* out = op.out.as<T>() + n * c;
    if constexpr (std::is_same_v<T, W>)
      std::memcpy(out, row, static_cast<size_t>(c) * sizeof(T));
    else
      for_vectors(c, [&](int64_t i, auto part) { store(load(row + i, part), out + i, part); });
  }
}

/// Columns [begin, end) of every row, so that no two threads add to the same element.
template <class T>
void backward(const EmbeddingBackward& op, int64_t begin, int64_t end) {
  const int64_t c = op.dtable.dim(1);
  const int32_t* ids = op.ids.as<int32_t>();
  for (int64_t n = 0; n < op.dout.dim(0); ++n) {
    float* sums = op.dtable.as<float>() + ids[n] * c + begin;
    const T* dout = op.dout.as<T>() + n * op.dout.row_stride + begin;
    for_vectors(end - begin, [&](int64_t i, auto part) {
      store(hn::Add(load(sums + i, part), load(dout + i, part)), sums + i, part);
    });
  }
}

void forward_rows(const EmbeddingForward& op, int64_t begin, int64_t end) {
  with_float(op.out.dtype, [&](auto t) {
    with_any_float(op.table.dtype,
                   [&](auto w) { forward<decltype(t), decltype(w)>(op, begin, end); });
  });
}
void backward_columns(const EmbeddingBackward& op, int64_t begin, int64_t end) {
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
HWY_EXPORT(backward_columns);
}  // namespace

namespace cpu {

void embedding_forward(const EmbeddingForward& op, Stream) {
  CHECK(all_below(op.ids, op.table.dim(0)));
  parallel_for(op.out.dim(0), row_grain(op.out.dim(1)), [&op](int64_t begin, int64_t end) {
    NIBBLE_SIMD(forward_rows)(op, begin, end);
  });
}

void embedding_backward(const EmbeddingBackward& op, Stream) {
  CHECK(all_below(op.ids, op.dtable.dim(0)));
  parallel_for(op.dtable.dim(1), kColumnGrain, [&op](int64_t begin, int64_t end) {
    NIBBLE_SIMD(backward_columns)(op, begin, end);
  });
}

}  // namespace cpu

void embedding_forward(const EmbeddingForward& op, Stream stream) {
  const Args args("embedding_forward", stream);
  args.require(op.out.rank == 2 && op.table.rank == 2, "out or table is not a matrix");
  const int64_t n = op.out.dim(0), c = op.out.dim(1), v = op.table.dim(0);
  args.check("out", op.out, NIBBLE_FLOATS, {n, c});
  args.check("ids", op.ids, {Dtype::kI32}, {n});
  args.check("table", op.table, {Dtype::kF32, Dtype::kBf16, Dtype::kF16}, {v, c});
  args.work(0.0, 2.0 * tensor_bytes(op.out));
  NIBBLE_CALL_TWIN(args, embedding_forward, op, stream);
}

void embedding_backward(const EmbeddingBackward& op, Stream stream) {
  const Args args("embedding_backward", stream);
  args.require(op.dout.rank == 2 && op.dtable.rank == 2, "dout or dtable is not a matrix");
  const int64_t n = op.dout.dim(0), c = op.dout.dim(1), v = op.dtable.dim(0);
  args.check("dout", op.dout, NIBBLE_FLOATS, {n, c}, RowStride::kFree);
  args.check("ids", op.ids, {Dtype::kI32}, {n});
  args.check("dtable", op.dtable, {Dtype::kF32}, {v, c});
  args.work(0.0, tensor_bytes(op.dout) + 2.0 * sizeof(float) * static_cast<double>(n * c));
  NIBBLE_CALL_TWIN(args, embedding_backward, op, stream);
}

}  // namespace nibble
#endif  // HWY_ONCE
