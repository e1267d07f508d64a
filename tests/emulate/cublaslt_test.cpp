// SPDX-License-Identifier: Apache-2.0
// The products that cuBLASLt's twin takes, against plain loops, and those it refuses, by rule.
// Built for a GPU (cublaslt_gpu_test) the same products go to the real library: it must take and
// compute all that the twin takes; where it takes what the twin refuses, it says so.
#include <cublasLt.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <iostream>
#include <string>

#include "base/float16.h"
#include "fixture.h"

#ifdef NIBBLE_EMULATE
#include "emulate.h"
#else
namespace nibble::emulate {
inline std::string take_matmul_refusal() {
  return "";
}
inline std::vector<std::string> take_faults() {
  return {};
}
}  // namespace nibble::emulate
#endif

namespace nibble::emulate_test {
namespace {

constexpr size_t kWorkspace = 1 << 16;

void ok(cublasStatus_t status) {
  if (status != CUBLAS_STATUS_SUCCESS) {
    throw std::runtime_error(cublasLtGetStatusName(status) +
                             (": " + emulate::take_matmul_refusal()));
  }
}

// One product with everything that a refusal may change.
struct Problem {
  uint64_t m = 5, n = 7, k = 9;
  cublasOperation_t op_a = CUBLAS_OP_N, op_b = CUBLAS_OP_N;
  cudaDataType_t in = CUDA_R_16BF, out = CUDA_R_16BF, b_type = CUDA_R_16BF;
  cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
  cudaDataType_t scale = CUDA_R_32F;
  float alpha = 1, beta = 0;
  bool bias = false, bias_pointer = true;
  uint32_t epilogue = 0;  // another than bias says
  int batches = 1, c_batches = 0;
  int64_t extra_ld = 0;
  uint64_t extra_c_rows = 0;
  uint32_t alignment = 2;
  int64_t a_offset = 0, workspace_offset = 0;
  bool a_null = false, alpha_null = false, d_is_a = false, other_algorithm = false,
       no_workspace = false;
  uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_MASK;
};

class Matmul {
 public:
  explicit Matmul(const Problem& problem) : p(problem) {
    ok(cublasLtCreate(&handle));
    ok(cublasLtMatmulDescCreate(&desc, p.compute, p.scale));
    set(CUBLASLT_MATMUL_DESC_TRANSA, p.op_a);
    set(CUBLASLT_MATMUL_DESC_TRANSB, p.op_b);
    set(CUBLASLT_MATMUL_DESC_EPILOGUE,
        p.epilogue != 0
            ? p.epilogue
            : static_cast<uint32_t>(p.bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT));
    const bool ta = p.op_a == CUBLAS_OP_T, tb = p.op_b == CUBLAS_OP_T;
    a = layout(p.in, ta ? p.k : p.m, ta ? p.m : p.k, p.batches);
    b = layout(p.b_type, tb ? p.n : p.k, tb ? p.k : p.n, p.batches);
    c = layout(p.out, p.m + p.extra_c_rows, p.n, p.c_batches != 0 ? p.c_batches : p.batches);
    d = layout(p.out, p.m, p.n, p.batches);
    ok(cublasLtMatmulPreferenceCreate(&preference));
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t{kWorkspace});
    prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, p.reductions);
    for (const auto attribute :
         {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
          CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
      prefer(attribute, p.alignment);
    }
  }
  Matmul(const Matmul&) = delete;
  Matmul& operator=(const Matmul&) = delete;
  ~Matmul() {
    for (const auto l : {a, b, c, d}) cublasLtMatrixLayoutDestroy(l);
    cublasLtMatmulDescDestroy(desc);
    cublasLtMatmulPreferenceDestroy(preference);
    cublasLtDestroy(handle);
  }

  cublasStatus_t run(const Stream& stream, const void* a_data, const void* b_data, void* d_data,
                     const void* bias, void* workspace) {
    if (p.bias && p.bias_pointer) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
    cublasLtMatmulHeuristicResult_t found{};
    int count = 0;
    const cublasStatus_t chosen =
        cublasLtMatmulAlgoGetHeuristic(handle, desc, a, b, c, d, preference, 1, &found, &count);
    if (chosen != CUBLAS_STATUS_SUCCESS) return chosen;
    EXPECT_EQ(count, 1);
    if (p.other_algorithm) found.algo.data[0] ^= 1;
    const auto* a_bytes = static_cast<const char*>(a_data) + p.a_offset;
    return cublasLtMatmul(
        handle, desc, p.alpha_null ? nullptr : &p.alpha, p.a_null ? nullptr : a_bytes, a, b_data, b,
        &p.beta, d_data, c, p.d_is_a ? const_cast<void*>(a_data) : d_data, d, &found.algo,
        p.no_workspace ? nullptr : static_cast<char*>(workspace) + p.workspace_offset,
        p.no_workspace ? 0 : kWorkspace, stream.handle());
  }

  Problem p;

 private:
  template <class T>
  void set(cublasLtMatmulDescAttributes_t attribute, T value) {
    ok(cublasLtMatmulDescSetAttribute(desc, attribute, &value, sizeof value));
  }
  template <class T>
  void prefer(cublasLtMatmulPreferenceAttributes_t attribute, T value) {
    ok(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value));
  }
  cublasLtMatrixLayout_t layout(cudaDataType_t type, uint64_t rows, uint64_t columns,
                                int32_t batches) {
    cublasLtMatrixLayout_t made = nullptr;
    const int64_t ld = static_cast<int64_t>(rows) + p.extra_ld;
    ok(cublasLtMatrixLayoutCreate(&made, type, rows, columns, ld));
    const int64_t stride = ld * static_cast<int64_t>(columns);
    ok(cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batches, 4));
    ok(cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride,
                                        8));
    return made;
  }

  cublasLtHandle_t handle = nullptr;
  cublasLtMatmulDesc_t desc = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, c = nullptr, d = nullptr;
  cublasLtMatmulPreference_t preference = nullptr;
};

float value_at(size_t i) {
  return static_cast<float>(static_cast<int>(i * 37 % 23) - 11) / 8;
}

std::vector<uint16_t> storage(size_t n) {
  std::vector<uint16_t> bits(n);
  for (size_t i = 0; i < n; ++i) bits[i] = to_bf16(value_at(i)).bits;
  return bits;
}

constexpr size_t kElements = 4096;

bool no_device() {
  int count = 0;
  return cudaGetDeviceCount(&count) != cudaSuccess || count == 0;
}

TEST(CublasLt, MultipliesAsTheFormulaSays) {
  if (no_device()) GTEST_SKIP() << "no CUDA device";
  std::vector<Problem> problems = {
      {},
      {.op_a = CUBLAS_OP_T},
      {.op_b = CUBLAS_OP_T},
      {.m = 33, .n = 2, .k = 64, .op_a = CUBLAS_OP_T, .op_b = CUBLAS_OP_T},
      {.out = CUDA_R_32F, .alpha = 0.5f, .beta = 2},
      {.alpha = -1, .beta = 1, .bias = true},
      {.out = CUDA_R_32F, .batches = 3, .extra_ld = 3},
      {.m = 1, .n = 1, .k = 1},
      {.m = 3, .n = 2, .k = 500, .op_a = CUBLAS_OP_T},
      {.m = 3, .n = 2, .k = 500, .reductions = CUBLASLT_REDUCTION_SCHEME_NONE},
  };
  for (const Problem& p : problems) {
    Matmul matmul(p);
    const Stream stream;
    DeviceArray<uint16_t> a(storage(kElements)), b(storage(kElements)), bias(storage(64));
    DeviceArray<float> bias32(std::vector<float>(64, 0.25f));
    DeviceArray<char> workspace(kWorkspace);
    const bool wide = p.out == CUDA_R_32F;
    std::vector<float> before(kElements);
    for (size_t i = 0; i < kElements; ++i) before[i] = value_at(i + 5);
    DeviceArray<float> d32(before);
    std::vector<uint16_t> before16(kElements);
    for (size_t i = 0; i < kElements; ++i) before16[i] = to_bf16(before[i]).bits;
    DeviceArray<uint16_t> d16(before16);
    void* d = wide ? static_cast<void*>(d32.data()) : d16.data();
    ok(matmul.run(stream, a.data(), b.data(), d,
                  wide ? static_cast<void*>(bias32.data()) : bias.data(), workspace.data()));
    std::vector<float> got(kElements);
    if (wide) {
      got = d32.read(stream);
    } else {
      const auto bits = d16.read(stream);
      for (size_t i = 0; i < kElements; ++i) got[i] = to_float(bf16{bits[i]});
    }
    const bool ta = p.op_a == CUBLAS_OP_T, tb = p.op_b == CUBLAS_OP_T;
    const uint64_t extra = static_cast<uint64_t>(p.extra_ld);
    const uint64_t lda = (ta ? p.k : p.m) + extra, ldb = (tb ? p.n : p.k) + extra,
                   ldd = p.m + extra;
    std::vector<float> want = before;
    double largest = 0;
    for (uint64_t batch = 0; batch < static_cast<uint64_t>(p.batches); ++batch) {
      const uint64_t a0 = batch * lda * (ta ? p.m : p.k), b0 = batch * ldb * (tb ? p.k : p.n);
      for (uint64_t i = 0; i < p.m; ++i) {
        for (uint64_t j = 0; j < p.n; ++j) {
          double sum = 0, size = 0;
          for (uint64_t l = 0; l < p.k; ++l) {
            const double x = value_at(a0 + (ta ? l + i * lda : i + l * lda));
            const double y = value_at(b0 + (tb ? j + l * ldb : l + j * ldb));
            sum += x * y;
            size += std::fabs(x * y);
          }
          const uint64_t at = batch * ldd * p.n + i + j * ldd;
          sum = p.alpha * sum + (p.beta != 0 ? p.beta * before[at] : 0);
          if (p.bias) sum += wide ? 0.25 : value_at(i);
          want[at] = static_cast<float>(sum);
          largest = std::max(largest, size);
        }
      }
    }
    // A sum of k products in float, then storage.
    const double tolerance =
        largest * static_cast<double>(p.k) * 0x1p-24 + (wide ? 0 : 0x1p-8 * (largest + 4));
    for (size_t i = 0; i < kElements; ++i) {
      ASSERT_NEAR(got[i], want[i],
                  want[i] == before[i] ? 0x1p-8 * std::fabs(want[i]) + tolerance : tolerance)
          << "element " << i << " of m " << p.m << " n " << p.n << " k " << p.k;
    }
    EXPECT_TRUE(emulate::take_faults().empty());
  }
}

TEST(CublasLt, RefusesByRule) {
  if (no_device()) GTEST_SKIP() << "no CUDA device";
  struct Refusal {
    Problem problem;
    cublasStatus_t status;
    const char* rule;
  };
  constexpr auto kInvalid = CUBLAS_STATUS_INVALID_VALUE;
  constexpr auto kUnsupported = CUBLAS_STATUS_NOT_SUPPORTED;
  const std::vector<Refusal> refusals = {
      {{.compute = CUBLAS_COMPUTE_16F}, kUnsupported, "computes in 32F"},
      {{.scale = CUDA_R_16BF}, kUnsupported, "computes in 32F"},
      {{.b_type = CUDA_R_32F}, kUnsupported, "of one type"},
      {{.out = CUDA_R_16F}, kUnsupported, "of one type"},
      {{.k = 0}, kInvalid, "not 0"},
      {{.extra_c_rows = 1}, kInvalid, "m x n"},
      {{.extra_ld = -1}, kInvalid, "leading dimension"},
      {{.batches = 2, .c_batches = 3}, kInvalid, "batches"},
      {{.epilogue = 32}, kUnsupported, "epilogue"},
      {{.bias = true, .bias_pointer = false}, kInvalid, "bias has a pointer"},
      {{.alpha_null = true}, kInvalid, "are given"},
      {{.a_null = true}, kInvalid, "are given"},
      {{.d_is_a = true}, kInvalid, "overlaps"},
      {{.alignment = 256, .a_offset = 16}, kInvalid, "as aligned"},
      {{.workspace_offset = 16}, kInvalid, "256-byte aligned"},
      {{.no_workspace = true}, kInvalid, "as large as the algorithm needs"},
      {{.other_algorithm = true}, kInvalid, "chosen for"},
      {{.reductions = 8}, kInvalid, "schemes alone"},
  };
  for (const Refusal& r : refusals) {
    Matmul matmul(r.problem);
    const Stream stream;
    DeviceArray<uint16_t> a(storage(kElements)), b(storage(kElements)), d(storage(kElements)),
        bias(storage(64));
    DeviceArray<char> workspace(kWorkspace + 256);
    const cublasStatus_t status =
        matmul.run(stream, a.data(), b.data(), d.data(), bias.data(), workspace.data());
#ifdef NIBBLE_EMULATE
    EXPECT_EQ(status, r.status) << r.rule;
    EXPECT_NE(emulate::take_matmul_refusal().find(r.rule), std::string::npos) << r.rule;
#else
    if (status != r.status) {
      std::cout << "\"" << r.rule << "\": the twin says " << cublasLtGetStatusName(r.status)
                << ", the library " << cublasLtGetStatusName(status) << "\n";
    }
    must(stream.wait());
#endif
  }
}

// B and D are columns of one matrix, or would be if they did not share one.
TEST(CublasLt, TakesColumnsOfOneMatrix) {
  if (no_device()) GTEST_SKIP() << "no CUDA device";
  Matmul matmul({.m = 9, .n = 7, .k = 9, .extra_ld = 9});
  const Stream stream;
  DeviceArray<uint16_t> a(storage(kElements)), both(storage(kElements)), bias(storage(64));
  DeviceArray<char> workspace(kWorkspace);
  const auto run = [&](int64_t first) {
    return matmul.run(stream, a.data(), both.data() + 9, both.data() + first, bias.data(),
                      workspace.data());
  };
  ok(run(0));
  ok(run(18));
  must(stream.wait());
#ifdef NIBBLE_EMULATE
  for (const int64_t first : {1, 17}) {
    EXPECT_EQ(run(first), CUBLAS_STATUS_INVALID_VALUE) << first;
    EXPECT_NE(emulate::take_matmul_refusal().find("overlaps"), std::string::npos) << first;
  }
#endif
}

#ifdef NIBBLE_EMULATE
// Long sums are split where that is allowed, whatever else a product is.
TEST(CublasLt, SplitsAsTheMaskAllows) {
  struct Case {
    uint64_t k;
    uint32_t reductions;
    int64_t split;
  };
  for (const Case& c :
       {Case{9, CUBLASLT_REDUCTION_SCHEME_MASK, 1},
        Case{9, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE, 1},
        Case{9, CUBLASLT_REDUCTION_SCHEME_NONE, 0}, Case{9, CUBLASLT_REDUCTION_SCHEME_INPLACE, 0},
        Case{7, CUBLASLT_REDUCTION_SCHEME_MASK, 0}}) {
    Matmul matmul({.k = c.k, .reductions = c.reductions});
    const Stream stream;
    DeviceArray<uint16_t> a(storage(kElements)), b(storage(kElements)), d(kElements);
    DeviceArray<char> workspace(kWorkspace);
    emulate::take_split_products();
    ok(matmul.run(stream, a.data(), b.data(), d.data(), nullptr, workspace.data()));
    must(stream.wait());
    EXPECT_EQ(emulate::take_split_products(), c.split) << c.k << " " << c.reductions;
  }
}

TEST(CublasLt, ReportsOperandsThatWereNeverWritten) {
  Matmul matmul({});
  const Stream stream;
  DeviceArray<uint16_t> a(kElements), b(storage(kElements)), d(kElements);
  DeviceArray<char> workspace(kWorkspace);
  try {
    ok(matmul.run(stream, a.data(), b.data(), d.data(), nullptr, workspace.data()));
  } catch (const std::runtime_error&) {
  }
  EXPECT_NE(stream.wait(), cudaSuccess);
  const auto faults = emulate::take_faults();
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_NE(faults[0].find("matmul 5 x 7 x 9"), std::string::npos) << faults[0];
}
#endif

}  // namespace
}  // namespace nibble::emulate_test
