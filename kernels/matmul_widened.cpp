// SPDX-License-Identifier: Apache-2.0
// Products in f32. Panels of bf16 operands are widened to f32 in scratch, a panel of the result
// is made there and rounded once; operands that are f32 already are read where they are.
#include <algorithm>

#include "base/checked.h"
#include "base/threads.h"
#include "dnnl.h"
#include "kernels/matmul_cpu.h"

namespace nibble::cpu {
namespace {

constexpr int64_t kRows = 1024;      // of op(a) in a panel
constexpr int64_t kDepth = 8192;     // of K in a panel
constexpr int64_t kPanel = 1 << 22;  // elements of op(b) in a panel, at most

struct Blocks {
  int64_t m, n, k;
};

Blocks blocks(const Matmul& op) {
  const auto [m, n, k] = matmul_size(op);
  const int64_t kb = std::min(k, kDepth);
  return {std::min(m, kRows), std::min(n, std::max<int64_t>(64, kPanel / kb)), kb};
}

// Rows [r0, r0+rn) x columns [c0, c0+cn) of a stored matrix as f32 with its leading dimension.
struct Panel {
  const float* data;
  int64_t stride;
};
Panel widen(const Tensor& t, int64_t r0, int64_t rn, int64_t c0, int64_t cn, float* scratch) {
  const int64_t stride = t.dim(0) > 1 ? t.row_stride : t.dim(1);
  if (t.dtype == Dtype::kF32) return {t.as<float>() + r0 * stride + c0, stride};
  const bf16* from = t.as<bf16>() + r0 * stride + c0;
  parallel_for(rn, std::max<int64_t>(1, 16384 / cn), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      for (int64_t c = 0; c < cn; ++c) scratch[r * cn + c] = to_float(from[r * stride + c]);
  });
  return {scratch, cn};
}

void round_panel(const Tensor& out, int64_t r0, int64_t rn, int64_t c0, int64_t cn, float beta,
                 const float* panel) {
  bf16* to = out.as<bf16>() + r0 * out.row_stride + c0;
  parallel_for(rn, std::max<int64_t>(1, 16384 / cn), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      for (int64_t c = 0; c < cn; ++c) {
        bf16& y = to[r * out.row_stride + c];
        const float x = panel[r * cn + c];
        y = to_bf16(beta == 0.0f ? x : x + beta * to_float(y));
      }
  });
}

}  // namespace

int64_t widened_scratch_elements(const Matmul& op) {
  const Blocks b = blocks(op);
  return (op.a.dtype == Dtype::kBf16 ? b.m * b.k : 0) +
         (op.b.dtype == Dtype::kBf16 ? b.n * b.k : 0) +
         (op.out.dtype == Dtype::kBf16 ? b.m * b.n : 0);
}

void matmul_widened(const Matmul& op) {
  const auto [m, n, k] = matmul_size(op);
  const Blocks size = blocks(op);
  const bool at = op.a_transpose == Transpose::kYes, bt = op.b_transpose == Transpose::kYes;
  const bool rounds = op.out.dtype == Dtype::kBf16;
  float* const a_scratch = op.scratch.data ? op.scratch.as<float>() : nullptr;
  float* const b_scratch = a_scratch + (op.a.dtype == Dtype::kBf16 ? size.m * size.k : 0);
  float* const out_scratch = b_scratch + (op.b.dtype == Dtype::kBf16 ? size.n * size.k : 0);
  for (int64_t n0 = 0; n0 < n; n0 += size.n) {
    const int64_t nb = std::min(size.n, n - n0);
    for (int64_t m0 = 0; m0 < m; m0 += size.m) {
      const int64_t mb = std::min(size.m, m - m0);
      float* c = rounds ? out_scratch : op.out.as<float>() + m0 * op.out.row_stride + n0;
      const int64_t c_stride = rounds ? nb : (m > 1 ? op.out.row_stride : n);
      for (int64_t k0 = 0; k0 < k; k0 += size.k) {
        const int64_t kb = std::min(size.k, k - k0);
        const Panel a =
            at ? widen(op.a, k0, kb, m0, mb, a_scratch) : widen(op.a, m0, mb, k0, kb, a_scratch);
        const Panel b =
            bt ? widen(op.b, n0, nb, k0, kb, b_scratch) : widen(op.b, k0, kb, n0, nb, b_scratch);
        const float beta = k0 > 0 ? 1.0f : rounds ? 0.0f : op.beta;
        CHECK(dnnl_sgemm(at ? 'T' : 'N', bt ? 'T' : 'N', mb, nb, kb, op.alpha, a.data, a.stride,
                         b.data, b.stride, beta, c, c_stride) == dnnl_success);
      }
      if (rounds) round_panel(op.out, m0, mb, n0, nb, op.beta, out_scratch);
    }
  }
}

}  // namespace nibble::cpu
