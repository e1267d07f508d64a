// SPDX-License-Identifier: Apache-2.0
#include "kernels/adapter_dropout.h"

#include "kernels/args.h"
#include "kernels/elementwise.h"
#include "kernels/matmul.h"

namespace nibble {

void adapter_dropout_passes(const AdapterDropoutBackward& op, Stream stream) {
  int64_t at = 0;
  for (const AdapterDropoutPart& part : op.parts) {
    const int64_t r = part.a.dim(0);
    matmul({.out = op.product, .a = columns(op.dxa, at, r), .b = part.a, .scratch = op.scratch},
           stream);
    dropout({.out = op.dx,
             .in = op.product,
             .p = op.p,
             .seed = op.seed,
             .stream = part.stream,
             .counter = op.counter,
             .draw = op.draw,
             .output = Dropout::Output::kAdd},
            stream);
    at += r;
  }
}

namespace cpu {

void adapter_dropout_backward(const AdapterDropoutBackward& op, Stream stream) {
  adapter_dropout_passes(op, stream);
}

}  // namespace cpu

void adapter_dropout_backward(const AdapterDropoutBackward& op, Stream stream) {
  const Args args("adapter_dropout_backward", stream);
  args.require(op.dx.rank == 2 && op.dxa.rank == 2, "dx or dxa is not a matrix");
  const int64_t n = op.dx.dim(0), i = op.dx.dim(1);
  args.check("dx", op.dx, NIBBLE_FLOATS, {n, i}, RowStride::kFree);
  args.check("dxa", op.dxa, {op.dx.dtype}, {n, op.dxa.dim(1)}, RowStride::kFree);
  args.check("product", op.product, {op.dx.dtype}, {n, i});
  args.require(op.p >= 0.0f && op.p < 1.0f, "p is not in [0, 1)");
  if (op.draw) args.check("draw", op.draw, {Dtype::kI32}, {1});
  int64_t ranks = 0;
  for (const AdapterDropoutPart& part : op.parts) {
    args.require(part.a.rank == 2, "a is not a matrix");
    args.check("a", part.a, {op.dx.dtype}, {part.a.dim(0), i});
    args.work(2.0 * static_cast<double>(n * i * part.a.dim(0)));
    ranks += part.a.dim(0);
  }
  if (!args.on_cuda()) args.work(0.0, 0.0);  // the ops it is made of count their own
  args.require(ranks == op.dxa.dim(1), "the ranks are not the width of dxa");
  NIBBLE_CALL_TWIN(args, adapter_dropout_backward, op, stream);
}

}  // namespace nibble
