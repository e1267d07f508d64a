// SPDX-License-Identifier: Apache-2.0
#include "kernels/qk.h"

#include "kernels/args.h"
#include "kernels/elementwise.h"
#include "kernels/rmsnorm.h"
#include "kernels/rope.h"
#include "kernels/store_cache.h"

namespace nibble {

void qk_in_turn(const QkForward& op, Stream stream) {
  const int64_t d = 2 * op.cos.dim(1), q = op.heads * d, k = op.kv_heads * d;
  if (op.raw) accumulate({.out = op.raw, .in = op.inout, .beta = 0.0f}, stream);
  if (op.q_weight) {
    rmsnorm_heads_forward(
        {.inout = columns(op.inout, 0, q), .rstd = op.rstd_q, .weight = op.q_weight, .eps = op.eps},
        stream);
    rmsnorm_heads_forward(
        {.inout = columns(op.inout, q, k), .rstd = op.rstd_k, .weight = op.k_weight, .eps = op.eps},
        stream);
  }
  rope({.inout = op.inout, .cos = op.cos, .sin = op.sin, .positions = op.positions, .head_dim = d},
       stream);
  if (op.keys)
    store_cache({.keys = op.keys,
                 .values = op.values,
                 .k = columns(op.inout, q, k),
                 .v = op.v,
                 .lengths = op.lengths},
                stream);
}

void qk_in_turn(const QkBackward& op, Stream stream) {
  const int64_t d = 2 * op.cos.dim(1), q = op.heads * d, k = op.kv_heads * d;
  rope({.inout = op.dinout,
        .cos = op.cos,
        .sin = op.sin,
        .positions = op.positions,
        .head_dim = d,
        .rotation = Rotation::kBackward},
       stream);
  if (!op.q_weight) return;
  rmsnorm_heads_backward({.dinout = columns(op.dinout, 0, q),
                          .dweight = op.dq_weight,
                          .in = columns(op.raw, 0, q),
                          .rstd = op.rstd_q,
                          .weight = op.q_weight},
                         stream);
  rmsnorm_heads_backward({.dinout = columns(op.dinout, q, k),
                          .dweight = op.dk_weight,
                          .in = columns(op.raw, q, k),
                          .rstd = op.rstd_k,
                          .weight = op.k_weight},
                         stream);
}

namespace cpu {

void qk_forward(const QkForward& op, Stream stream) {
  qk_in_turn(op, stream);
}
void qk_backward(const QkBackward& op, Stream stream) {
  qk_in_turn(op, stream);
}

}  // namespace cpu

namespace {

/// What both directions have; returns N.
template <class Op>
int64_t check_heads(const Args& args, const Op& op, const Tensor& inout) {
  args.require(op.cos.rank == 2, "cos is not a matrix");
  args.require(inout.rank == 2 && op.heads > 0 && op.kv_heads > 0, "there are no heads");
  const int64_t n = inout.dim(0), half = op.cos.dim(1), p = op.cos.dim(0);
  args.check("inout", inout, NIBBLE_FLOATS, {n, (op.heads + op.kv_heads) * 2 * half},
             RowStride::kFree);
  args.check("cos", op.cos, {Dtype::kF32}, {p, half});
  args.check("sin", op.sin, {Dtype::kF32}, {p, half});
  args.check("positions", op.positions, {Dtype::kI32}, {n});
  if (!op.q_weight && !op.k_weight) return n;
  args.check("rstd_q", op.rstd_q, {Dtype::kF32}, {n, op.heads});
  args.check("rstd_k", op.rstd_k, {Dtype::kF32}, {n, op.kv_heads});
  args.check("q_weight", op.q_weight, NIBBLE_FLOATS, {2 * half});
  args.check("k_weight", op.k_weight, {op.q_weight.dtype}, {2 * half});
  return n;
}

}  // namespace

void qk_forward(const QkForward& op, Stream stream) {
  const Args args("qk_forward", stream);
  const int64_t n = check_heads(args, op, op.inout);
  if (op.raw) args.check("raw", op.raw, {op.inout.dtype}, {n, op.inout.dim(1)});
  if (op.keys) {
    const int64_t width = op.kv_heads * 2 * op.cos.dim(1);
    args.require(op.keys.rank == 3, "keys is not (N,room,K*D)");
    args.check("keys", op.keys, {op.inout.dtype}, {n, op.keys.dim(1), width});
    args.check("values", op.values, {op.inout.dtype}, {n, op.keys.dim(1), width});
    args.check("v", op.v, {op.inout.dtype}, {n, width}, RowStride::kFree);
    args.check("lengths", op.lengths, {Dtype::kI32}, {n});
  }
  if (!args.on_cuda()) args.work(0.0, 0.0);  // the ops it is made of count their own
  if (n > 0) NIBBLE_CALL_TWIN(args, qk_forward, op, stream);
}

void qk_backward(const QkBackward& op, Stream stream) {
  const Args args("qk_backward", stream);
  const int64_t n = check_heads(args, op, op.dinout);
  if (op.q_weight) args.check("raw", op.raw, {op.dinout.dtype}, {n, op.dinout.dim(1)});
  for (const auto& [name, dweight] :
       {std::pair{"dq_weight", op.dq_weight}, {"dk_weight", op.dk_weight}})
    if (dweight) args.check(name, dweight, {Dtype::kF32}, {2 * op.cos.dim(1)});
  if (!args.on_cuda()) args.work(0.0, 0.0);
  if (n > 0) NIBBLE_CALL_TWIN(args, qk_backward, op, stream);
}

}  // namespace nibble
