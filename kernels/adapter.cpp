// SPDX-License-Identifier: Apache-2.0
#include "kernels/adapter.h"

#include "kernels/args.h"
#include "kernels/matmul.h"

namespace nibble {
namespace {

/// Checks the parts against y (or dy) and xa. `db`: whether gradients are wanted.
void check_parts(const Args& args, const Tensor& y, const Tensor& xa,
                 std::span<const AdapterPart> parts, bool db) {
  int64_t ranks = 0;
  for (const AdapterPart& p : parts) {
    args.require(p.b.rank == 2, "b is not a matrix");
    const int64_t o = p.b.dim(0), r = p.b.dim(1);
    args.check("b", p.b, {y.dtype}, {o, r});
    if (db) args.check("db", p.db, {Dtype::kF32}, {o, r});
    args.require(p.column >= 0 && p.column <= y.dim(1) - o, "a part lies outside y");
    args.work(2.0 * static_cast<double>(y.dim(0) * o * r) * (db ? 2.0 : 1.0));
    ranks += r;
  }
  args.require(ranks == xa.dim(1), "the ranks are not the width of xa");
}

}  // namespace

void adapter_products(const AdapterForward& op, Stream stream) {
  int64_t at = 0;
  for (const AdapterPart& p : op.parts) {
    const int64_t o = p.b.dim(0), r = p.b.dim(1);
    matmul({.out = columns(op.y, p.column, o),
            .a = columns(op.xa, at, r),
            .b = p.b,
            .b_transpose = Transpose::kYes,
            .alpha = p.scale,
            .beta = op.output == AdapterForward::Output::kAdd ? 1.0f : 0.0f,
            .scratch = op.scratch},
           stream);
    at += r;
  }
}

void adapter_products(const AdapterBackward& op, Stream stream) {
  int64_t at = 0;
  for (const AdapterPart& p : op.parts) {
    const int64_t o = p.b.dim(0), r = p.b.dim(1);
    const Tensor dy = columns(op.dy, p.column, o);
    matmul({.out = p.db,
            .a = dy,
            .b = columns(op.xa, at, r),
            .a_transpose = Transpose::kYes,
            .alpha = p.scale,
            .beta = 1.0f,
            .scratch = op.scratch},
           stream);
    matmul(
        {.out = columns(op.dxa, at, r), .a = dy, .b = p.b, .alpha = p.scale, .scratch = op.scratch},
        stream);
    at += r;
  }
}

namespace cpu {

void adapter_forward(const AdapterForward& op, Stream stream) {
  adapter_products(op, stream);
}
void adapter_backward(const AdapterBackward& op, Stream stream) {
  adapter_products(op, stream);
}

}  // namespace cpu

void adapter_forward(const AdapterForward& op, Stream stream) {
  const Args args("adapter_forward", stream);
  args.require(op.y.rank == 2 && op.xa.rank == 2, "y or xa is not a matrix");
  const int64_t n = op.y.dim(0);
  args.check("y", op.y, NIBBLE_FLOATS, {n, op.y.dim(1)}, RowStride::kFree);
  args.check("xa", op.xa, {op.y.dtype}, {n, op.xa.dim(1)}, RowStride::kFree);
  check_parts(args, op.y, op.xa, op.parts, false);
  NIBBLE_CALL_TWIN(args, adapter_forward, op, stream);
}

void adapter_backward(const AdapterBackward& op, Stream stream) {
  const Args args("adapter_backward", stream);
  args.require(op.dy.rank == 2 && op.xa.rank == 2, "dy or xa is not a matrix");
  const int64_t n = op.dy.dim(0);
  args.check("dy", op.dy, NIBBLE_FLOATS, {n, op.dy.dim(1)}, RowStride::kFree);
  args.check("xa", op.xa, {op.dy.dtype}, {n, op.xa.dim(1)}, RowStride::kFree);
  args.check("dxa", op.dxa, {op.dy.dtype}, {n, op.xa.dim(1)}, RowStride::kFree);
  check_parts(args, op.dy, op.xa, op.parts, true);
  NIBBLE_CALL_TWIN(args, adapter_backward, op, stream);
}

}  // namespace nibble
