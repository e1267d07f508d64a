// SPDX-License-Identifier: Apache-2.0
#include "kernels/matmul.h"

#include <algorithm>

#include "kernels/args.h"
#include "kernels/matmul_cpu.h"
#include "kernels/onednn.h"
#include "kernels/simd.h"

namespace nibble {
namespace {

/// Our own loops are faster than oneDNN's where they multiply pairs of bf16, so it is left for AMX.
/// It knows what it may use, and is only opened where there is something to use.
bool onednn_is_best() {
  static const bool best = [] {
    return bf16_of_processor() == Bf16Dot::kNative &&
           cpu::onednn().get_effective_cpu_isa() == dnnl_cpu_isa_avx512_core_amx;
  }();
  return best;
}

bool has_onednn(const Matmul& op) {
  return op.a.dtype == Dtype::kBf16 && op.b.dtype == Dtype::kBf16 && onednn_is_best() &&
         cpu::onednn_supports(op);
}

// What oneDNN wants for a smaller product than the scratch was made for, nobody can say beforehand.
bool runs_onednn(const Matmul& op) {
  const int64_t room = op.scratch ? op.scratch.elements() : 0;
  return has_onednn(op) && cpu::onednn_scratch_elements(op) <= room;
}

bool is_empty(const Matmul& op) {
  const auto [m, n, k] = cpu::matmul_size(op);
  return m == 0 || n == 0 || k == 0;
}

/// What is left of the product where K is 0.
template <class T>
void scale(const Tensor& out, float beta) {
  for (int64_t i = 0; i < out.dim(0); ++i) {
    T* row = out.as<T>() + i * out.row_stride;
    for (int64_t j = 0; j < out.dim(1); ++j)
      row[j] = beta == 0.0f ? T{} : from_float<T>(beta * to_float(row[j]));
  }
}

}  // namespace

namespace cpu {

MatmulSize matmul_size(const Matmul& op) {
  return {op.out.dim(0), op.out.dim(1), op.a.dim(op.a_transpose == Transpose::kYes ? 0 : 1)};
}

void matmul(const Matmul& op, Stream) {
  const auto [m, n, k] = matmul_size(op);
  if (m == 0 || n == 0) return;
  if (k == 0)
    return op.out.dtype == Dtype::kF32 ? scale<float>(op.out, op.beta)
                                       : scale<bf16>(op.out, op.beta);
  runs_onednn(op) ? matmul_onednn(op) : matmul_tiled(op);
}

}  // namespace cpu

bool cpu_has_bf16_matmul() {
  return bf16_dot() != Bf16Dot::kNone || onednn_is_best();
}

int64_t matmul_scratch_elements(const Matmul& op) {
  CHECK(op.out.rank == 2 && op.a.rank == 2);
  if (is_empty(op) || op.out.device.on_cuda()) return 0;
  const int64_t tiled = cpu::tiled_scratch_bound(op);
  return has_onednn(op) ? std::max(tiled, cpu::onednn_scratch_elements(op)) : tiled;
}

void matmul(const Matmul& op, Stream stream) {
  const Args args("matmul", stream);
  args.require(op.out.rank == 2, "out is not a matrix");
  args.require(op.a.rank == 2, "a is not a matrix");
  const auto [m, n, k] = cpu::matmul_size(op);
  args.check("out", op.out, NIBBLE_FLOATS, {m, n}, RowStride::kFree);
  if (op.a_transpose == Transpose::kYes)
    args.check("a", op.a, NIBBLE_FLOATS, {k, m}, RowStride::kFree);
  else
    args.check("a", op.a, NIBBLE_FLOATS, {m, k}, RowStride::kFree);
  if (op.b_transpose == Transpose::kYes)
    args.check("b", op.b, NIBBLE_FLOATS, {n, k}, RowStride::kFree);
  else
    args.check("b", op.b, NIBBLE_FLOATS, {k, n}, RowStride::kFree);
  if (args.on_cuda()) {
    args.require(op.a.dtype == op.b.dtype, "a and b differ in type");
    args.require(op.a.dtype == Dtype::kBf16 || op.out.dtype == Dtype::kF32,
                 "out is bf16, a and b are not");
  } else if (!is_empty(op) && !runs_onednn(op)) {
    args.check("scratch", op.scratch, {Dtype::kF32}, {op.scratch.dim(0)});
    args.require(op.scratch.elements() >= cpu::tiled_scratch_elements(op), "scratch is too small");
  }
  args.work(2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k),
            tensor_bytes(op.out) + tensor_bytes(op.a) + tensor_bytes(op.b));
  NIBBLE_CALL_TWIN(args, matmul, op, stream);
}

}  // namespace nibble
