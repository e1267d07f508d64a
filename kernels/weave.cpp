// SPDX-License-Identifier: Apache-2.0
#include "kernels/weave.h"

#include <algorithm>

#include "base/threads.h"
#include "kernels/args.h"

namespace nibble {
namespace {

template <class T>
void weave_rows(const WeavePart& p, int64_t begin, int64_t end) {
  const int64_t width = p.out.dim(1), from = p.in ? p.in.dim(1) : 0;
  for (int64_t m = begin; m < end; ++m) {
    T* out = p.out.as<T>() + m * p.out.row_stride;
    std::fill(out, out + p.column, T{});
    std::fill(out + p.column + from, out + width, T{});
    for (int64_t r = 0; r < from; ++r)
      out[p.column + r] = from_float<T>(p.scale * p.in.as<float>()[m * from + r]);
  }
}

}  // namespace

namespace cpu {

void weave(const Weave& op, Stream) {
  for (const WeavePart& p : op.parts)
    parallel_for(p.out.dim(0), row_grain(p.out.dim(1)), [&p](int64_t begin, int64_t end) {
      if (p.out.dtype == Dtype::kF32)
        weave_rows<float>(p, begin, end);
      else
        weave_rows<bf16>(p, begin, end);
    });
}

}  // namespace cpu

void weave(const Weave& op, Stream stream) {
  if (op.parts.empty()) return;
  const Args args("weave", stream);
  for (const WeavePart& p : op.parts) {
    args.require(p.out.rank == 2, "out is not a matrix");
    const int64_t m = p.out.dim(0), k = p.out.dim(1);
    args.check("out", p.out, NIBBLE_FLOATS, {m, k}, RowStride::kFree);
    args.require(p.out.dtype == op.parts.front().out.dtype, "the parts differ in type");
    args.require(p.column >= 0 && p.column <= k, "the column lies outside out");
    if (!p.in) continue;
    args.require(p.in.rank == 2, "in is not a matrix");
    args.check("in", p.in, {Dtype::kF32}, {m, p.in.dim(1)});
    args.require(p.column <= k - p.in.dim(1), "in does not fit into out");
  }
  NIBBLE_CALL_TWIN(args, weave, op, stream);
}

}  // namespace nibble
