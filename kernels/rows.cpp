// SPDX-License-Identifier: Apache-2.0
#include "kernels/rows.h"

#include <cstring>

#include "base/threads.h"
#include "kernels/args.h"

namespace nibble {
namespace {

void check(const Args& args, const Tensor& wide, const Tensor& picked, const Tensor& index) {
  args.require(wide.rank == 2 && picked.rank == 2, "in or out is not a matrix");
  const int64_t m = picked.dim(0), c = wide.dim(1);
  args.check_like("wide", wide, NIBBLE_FLOATS, wide);
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
  const int32_t* index = op.rows.as<int32_t>();
  const auto* in = static_cast<const std::byte*>(op.in.data);
  auto* out = static_cast<std::byte*>(op.out.data);
  const int64_t count = op.rows.dim(0);
  for (int64_t m = 0; m < count; ++m)
    CHECK(index[m] >= (m ? index[m - 1] + 1 : 0) && index[m] < op.out.dim(0));
  // Each part clears the gap before every row of its own, the last one the tail.
  if (count == 0) std::memset(out, 0, static_cast<size_t>(op.out.dim(0)) * bytes);
  parallel_for(count, 16, [&](int64_t begin, int64_t end) {
    for (int64_t m = begin; m < end; ++m) {
      const auto row = static_cast<size_t>(index[m]);
      const auto gap = static_cast<size_t>(m ? index[m - 1] + 1 : 0);
      std::memset(out + gap * bytes, 0, (row - gap) * bytes);
      std::memcpy(out + row * bytes, in + static_cast<size_t>(m) * bytes, bytes);
    }
    if (end == count) {
      const auto tail = static_cast<size_t>(index[count - 1]) + 1;
      std::memset(out + tail * bytes, 0, (static_cast<size_t>(op.out.dim(0)) - tail) * bytes);
    }
  });
}

}  // namespace cpu

void gather_rows(const GatherRows& op, Stream stream) {
  const Args args("gather_rows", stream);
  check(args, op.in, op.out, op.rows);
  NIBBLE_CALL_TWIN(args, gather_rows, op, stream);
}

void scatter_rows(const ScatterRows& op, Stream stream) {
  const Args args("scatter_rows", stream);
  check(args, op.out, op.in, op.rows);
  NIBBLE_CALL_TWIN(args, scatter_rows, op, stream);
}

}  // namespace nibble
