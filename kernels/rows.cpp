// SPDX-License-Identifier: Apache-2.0
#include "kernels/rows.h"

#include <cstring>

#include "base/threads.h"
#include "kernels/args.h"

namespace nibble {
namespace {

void check(const Args& args, const Tensor& wide, RowStride stride, const Tensor& picked,
           const Tensor& index) {
  args.require(wide.rank == 2 && picked.rank == 2, "in or out is not a matrix");
  const int64_t m = picked.dim(0), c = wide.dim(1);
  args.check_like("wide", wide, NIBBLE_FLOATS, wide, stride);
  args.check("picked", picked, {wide.dtype}, {m, c});
  args.check("rows", index, {Dtype::kI32}, {m});
  args.work(0.0, 2.0 * tensor_bytes(picked));
}

}  // namespace

namespace cpu {

void gather_rows(const GatherRows& op, Stream) {
  const size_t bytes = static_cast<size_t>(op.in.dim(1)) * dtype_bytes(op.in.dtype);
  const int32_t* index = op.rows.as<int32_t>();
  const auto* in = static_cast<const std::byte*>(op.in.data);
  auto* out = static_cast<std::byte*>(op.out.data);
  parallel_for(op.rows.dim(0), 16, [&](int64_t begin, int64_t end) {
    for (int64_t m = begin; m < end; ++m) {
      CHECK(index[m] >= 0 && index[m] < op.in.dim(0));
      std::memcpy(out + static_cast<size_t>(m) * bytes, in + static_cast<size_t>(index[m]) * bytes,
                  bytes);
    }
  });
}

void scatter_rows(const ScatterRows& op, Stream) {
  const size_t bytes = static_cast<size_t>(op.in.dim(1)) * dtype_bytes(op.in.dtype);
  const size_t stride = static_cast<size_t>(op.out.row_stride) * dtype_bytes(op.out.dtype);
  const int32_t* index = op.rows.as<int32_t>();
  const auto* in = static_cast<const std::byte*>(op.in.data);
  auto* out = static_cast<std::byte*>(op.out.data);
  const int64_t count = op.rows.dim(0), n = op.out.dim(0);
  for (int64_t m = 0; m < count; ++m) CHECK(index[m] >= (m ? index[m - 1] + 1 : 0) && index[m] < n);
  const auto clear = [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      std::memset(out + static_cast<size_t>(row) * stride, 0, bytes);
  };
  // Each part clears the gap before every row of its own, the last one the tail.
  if (count == 0) clear(0, n);
  parallel_for(count, 16, [&](int64_t begin, int64_t end) {
    for (int64_t m = begin; m < end; ++m) {
      clear(m ? index[m - 1] + 1 : 0, index[m]);
      std::memcpy(out + static_cast<size_t>(index[m]) * stride, in + static_cast<size_t>(m) * bytes,
                  bytes);
    }
    if (end == count) clear(index[count - 1] + 1, n);
  });
}

}  // namespace cpu

void gather_rows(const GatherRows& op, Stream stream) {
  const Args args("gather_rows", stream);
  check(args, op.in, RowStride::kDense, op.out, op.rows);
  NIBBLE_CALL_TWIN(args, gather_rows, op, stream);
}

void scatter_rows(const ScatterRows& op, Stream stream) {
  const Args args("scatter_rows", stream);
  check(args, op.out, RowStride::kFree, op.in, op.rows);
  NIBBLE_CALL_TWIN(args, scatter_rows, op, stream);
}

}  // namespace nibble
