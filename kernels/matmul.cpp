// SPDX-License-Identifier: Apache-2.0
#include "kernels/matmul.h"

#include "dnnl.hpp"
#include "kernels/matmul_cpu.h"

namespace nibble {
namespace {

bool is_float(const Tensor& t) {
  return t.dtype == Dtype::kF32 || t.dtype == Dtype::kBf16;
}

void check_operand(const Tensor& t) {
  CHECK(t.rank == 2 && is_float(t));
  CHECK(t.dim(0) <= 1 || t.row_stride >= t.dim(1));
  CHECK(t.data || t.elements() == 0);
}

void check_shapes(const Matmul& op) {
  const auto [m, n, k] = cpu::matmul_size(op);
  const bool at = op.a_transpose == Transpose::kYes, bt = op.b_transpose == Transpose::kYes;
  CHECK(op.out.rank == 2 && op.a.rank == 2 && op.b.rank == 2);
  CHECK(op.a.dim(at ? 1 : 0) == m && op.a.dim(at ? 0 : 1) == k);
  CHECK(op.b.dim(bt ? 1 : 0) == k && op.b.dim(bt ? 0 : 1) == n);
  CHECK(is_float(op.out) && is_float(op.a) && is_float(op.b));
}

bool runs_native(const Matmul& op) {
  return op.a.dtype == Dtype::kBf16 && op.b.dtype == Dtype::kBf16 && cpu_has_bf16_matmul() &&
         cpu::native_supports(op);
}

template <class T>
void scale_rows(const Tensor& out, float beta) {
  for (int64_t i = 0; i < out.dim(0); ++i) {
    T* row = out.as<T>() + i * out.row_stride;
    for (int64_t j = 0; j < out.dim(1); ++j)
      row[j] = beta == 0.0f ? T{} : from_float<T>(beta * to_float(row[j]));
  }
}

}  // namespace

cpu::MatmulSize cpu::matmul_size(const Matmul& op) {
  return {op.out.dim(0), op.out.dim(1), op.a.dim(op.a_transpose == Transpose::kYes ? 0 : 1)};
}

bool cpu_has_bf16_matmul() {
  static const bool has = [] {
    const auto isa = dnnl::get_effective_cpu_isa();
    return isa == dnnl::cpu_isa::avx512_core_bf16 || isa == dnnl::cpu_isa::avx512_core_amx;
  }();
  return has;
}

int64_t matmul_scratch_elements(const Matmul& op) {
  check_shapes(op);
  const auto [m, n, k] = cpu::matmul_size(op);
  if (m == 0 || n == 0 || k == 0) return 0;
  return runs_native(op) ? cpu::native_scratch_elements(op) : cpu::widened_scratch_elements(op);
}

void matmul(const Matmul& op, Stream stream) {
  check_shapes(op);
  for (const Tensor* t : {&op.out, &op.a, &op.b}) {
    check_operand(*t);
    CHECK(t->device == stream.device);
  }
  if (stream.device.kind != DeviceKind::kCpu)
    throw UnavailableError("matmul: nibble was built without CUDA; use --device=cpu");
  const auto [m, n, k] = cpu::matmul_size(op);
  if (m == 0 || n == 0) return;
  if (k == 0 || op.alpha == 0.0f) {
    if (op.out.dtype == Dtype::kF32) return scale_rows<float>(op.out, op.beta);
    return scale_rows<bf16>(op.out, op.beta);
  }
  const bool native = runs_native(op);
  const int64_t need =
      native ? cpu::native_scratch_elements(op) : cpu::widened_scratch_elements(op);
  if (need > 0) {
    CHECK(op.scratch.dtype == Dtype::kF32 && op.scratch.dense() && op.scratch.data);
    CHECK(op.scratch.elements() >= need);
  }
  native ? cpu::matmul_native(op) : cpu::matmul_widened(op);
}

}  // namespace nibble
