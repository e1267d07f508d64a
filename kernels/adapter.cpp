// SPDX-License-Identifier: Apache-2.0
#include "kernels/adapter.h"

#include <algorithm>

#include "base/checked.h"
#include "kernels/args.h"
#include "kernels/matmul.h"
#include "tensor/cuda.h"

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

AdapterShares adapter_shares(std::span<const AdapterPart> parts, int64_t rows) {
  // Blocks that keep a GPU's memory busy; fewer where each would have less than so many rows.
  constexpr int64_t kBlocks = 96, kLeastRows = 128;
  // The sums of more rows would leave the caches.
  constexpr int64_t kMostRows = 4096, kMostRank = 32;
  constexpr auto kRoom = static_cast<int64_t>(cuda::kCublasWorkspaceBytes / sizeof(float));
  AdapterShares s;
  int64_t tiles = 0;
  for (const AdapterPart& p : parts) {
    const int64_t o = p.b.dim(0), r = p.b.dim(1);
    if (r % 8 != 0 || r == 0 || r > kMostRank) return {};
    tiles += ceil_div<int64_t>(o, kAdapterTile);
    s.inner += ceil_div<int64_t>(o, kAdapterTile) * r;
    s.outer += o * r;
  }
  if (tiles == 0 || rows == 0 || s.outer + s.inner > kRoom) return {};
  s.rows = std::min({rows, kMostRows, (kRoom - s.outer) / s.inner});
  const int64_t room = (kRoom - s.inner * s.rows) / s.outer;
  const int64_t most = std::min({ceil_div(kBlocks, tiles), ceil_div(s.rows, kLeastRows), room});
  s.rows_each = round_up<int64_t>(ceil_div(s.rows, most), 16);
  s.shares = ceil_div(s.rows, s.rows_each);
  return s;
}

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
  if (!args.on_cuda()) args.work(0.0, 0.0);  // the products it is made of count their own
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
  if (!args.on_cuda()) args.work(0.0, 0.0);
  NIBBLE_CALL_TWIN(args, adapter_backward, op, stream);
}

}  // namespace nibble
