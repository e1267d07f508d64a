// SPDX-License-Identifier: Apache-2.0
#include "kernels/matmul.h"

#include <algorithm>

#include "kernels/args.h"
#include "kernels/matmul_cpu.h"
#include "kernels/onednn.h"

namespace nibble {
namespace {

bool has_native(const Matmul& op) {
  return op.a.dtype == Dtype::kBf16 && op.b.dtype == Dtype::kBf16 && cpu_has_bf16_matmul() &&
         cpu::native_supports(op);
}

// What oneDNN wants for a smaller product than the scratch was made for, nobody can say beforehand.
bool runs_native(const Matmul& op) {
  const int64_t room = op.scratch ? op.scratch.elements() : 0;
  return has_native(op) && cpu::native_scratch_elements(op) <= room;
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
  runs_native(op) ? matmul_native(op) : matmul_widened(op);
}

}  // namespace cpu

bool cpu_has_bf16_matmul() {
  static const bool has = [] {
    // oneDNN, which knows what it may use, is only asked where there is something to use.
    const Bf16Dot dot = bf16_of_processor();
    if (dot != Bf16Dot::kNative) return dot == Bf16Dot::kEmulated;
    const dnnl_cpu_isa_t isa = cpu::onednn().get_effective_cpu_isa();
    return isa == dnnl_cpu_isa_avx512_core_bf16 || isa == dnnl_cpu_isa_avx512_core_amx;
  }();
  return has;
}

int64_t matmul_scratch_elements(const Matmul& op) {
  CHECK(op.out.rank == 2 && op.a.rank == 2);
  if (is_empty(op) || op.out.device.on_cuda()) return 0;
  const int64_t widened = cpu::widened_scratch_bound(op);
  return has_native(op) ? std::max(widened, cpu::native_scratch_elements(op)) : widened;
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
  } else if (!is_empty(op) && !runs_native(op)) {
    args.check("scratch", op.scratch, {Dtype::kF32}, {op.scratch.dim(0)});
    args.require(op.scratch.elements() >= cpu::widened_scratch_elements(op),
                 "scratch is too small");
  }
  args.work(2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k),
            tensor_bytes(op.out) + tensor_bytes(op.a) + tensor_bytes(op.b));
  NIBBLE_CALL_TWIN(args, matmul, op, stream);
}

}  // namespace nibble
