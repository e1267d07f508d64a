// SPDX-License-Identifier: Apache-2.0
// cuBLASLt counts columns first: a row-major (M,N) matrix is a column-major (N,M) one, so out =
// op(a) op(b) is computed as out' = op(b)' op(a)'. What a shape needs (descriptors, algorithm) is
// made once and kept for the life of the program.
#include "kernels/matmul.h"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>

#include "kernels/cuda/cublas_lt.h"
#include "kernels/cuda/twins.h"
#include "kernels/cuda/values.h"

namespace nibble::cuda {
namespace {

/// One operand as cuBLASLt sees it.
struct Operand {
  cudaDataType type;
  int64_t rows, columns, stride;  // column-major
  uint32_t alignment;             // bytes, at most 256
  auto operator<=>(const Operand&) const = default;
};

struct Key {
  int device;
  Sums sums;
  bool transpose_first, transpose_second;
  Operand first, second, out;
  auto operator<=>(const Key&) const = default;
};

Operand operand(const Tensor& t) {
  const auto address = reinterpret_cast<uintptr_t>(t.data);
  const uintptr_t lowest_bit = address & (~address + 1);
  return {.type = t.dtype == Dtype::kF32 ? CUDA_R_32F : CUDA_R_16BF,
          .rows = t.dim(1),
          .columns = t.dim(0),
          .stride = std::max(t.row_stride, t.dim(1)),
          .alignment = static_cast<uint32_t>(std::min<uintptr_t>(lowest_bit, 256))};
}

// Owns what one shape needs. The heuristic lists algorithms, the best first; one that then refuses
// its operands gives way to the next.
struct Plan {
  static constexpr int kAlgorithms = 8;
  cublasLtMatmulDesc_t desc = nullptr;
  cublasLtMatrixLayout_t first = nullptr, second = nullptr, out = nullptr;
  std::array<cublasLtMatmulAlgo_t, kAlgorithms> algorithms{};
  int found = 0, chosen = 0;

  Plan() = default;
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
  ~Plan() {
    const CublasLt& lt = cublas_lt();
    for (cublasLtMatrixLayout_t layout : {first, second, out})
      if (layout) lt.layout_destroy(layout);
    if (desc) lt.desc_destroy(desc);
  }
};

cublasLtMatrixLayout_t make_layout(const Operand& o) {
  cublasLtMatrixLayout_t layout = nullptr;
  check(cublas_lt().layout_create(&layout, o.type, static_cast<uint64_t>(o.rows),
                                  static_cast<uint64_t>(o.columns), o.stride),
        "matmul");
  return layout;
}

template <class T>
void set(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t name,
         const T& value) {
  check(cublas_lt().preference_set(preference, name, &value, sizeof value), "matmul");
}
template <class T>
void set(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t name, const T& value) {
  check(cublas_lt().desc_set(desc, name, &value, sizeof value), "matmul");
}

[[noreturn]] void throw_no_algorithm(const Key& key) {
  throw UnavailableError(
      cat("matmul: cuBLASLt has no algorithm for (", key.out.columns, ",", key.out.rows, ") over ",
          key.transpose_first ? key.first.rows : key.first.columns,
          key.sums == Sums::kInSequence ? " that adds up in one sequence; leave --deterministic out"
                                        : ""));
}

void list_algorithms(cublasLtHandle_t handle, const Key& key, Plan& plan) {
  const CublasLt& lt = cublas_lt();
  cublasLtMatmulPreference_t made = nullptr;
  check(lt.preference_create(&made), "matmul");
  const std::unique_ptr<cublasLtMatmulPreferenceOpaque_t, decltype(lt.preference_destroy)>
      preference(made, lt.preference_destroy);
  set(made, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t{kCublasWorkspaceBytes});
  set(made, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, key.first.alignment);
  set(made, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, key.second.alignment);
  set(made, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, key.out.alignment);
  set(made, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, key.out.alignment);
  if (key.sums == Sums::kInSequence)
    set(made, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
        static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_NONE));
  cublasLtMatmulHeuristicResult_t results[Plan::kAlgorithms] = {};
  int count = 0;
  const cublasStatus_t status = lt.heuristic(handle, plan.desc, plan.first, plan.second, plan.out,
                                             plan.out, made, Plan::kAlgorithms, results, &count);
  if (status != CUBLAS_STATUS_NOT_SUPPORTED) check(status, "matmul");
  for (int i = 0; i < count; ++i)
    if (results[i].state == CUBLAS_STATUS_SUCCESS)
      plan.algorithms[static_cast<size_t>(plan.found++)] = results[i].algo;
  if (plan.found == 0) throw_no_algorithm(key);
}

// out *= beta; with beta 0 what is there counts for nothing.
template <class T>
__global__ void __launch_bounds__(kRowThreads)
    scale_kernel(T* out, int64_t stride, int64_t width, float beta, int parts) {
  const auto [row, column] = row_part<1>(parts);
  if (column >= width) return;
  T& x = out[row * stride + column];
  x = from_f32<T>(beta == 0.0f ? 0.0f : to_f32(x) * beta);
}

void scale(const Tensor& out, float beta, Stream stream) {
  with_float_type(out.dtype, [&](auto type) {
    using T = decltype(type);
    const RowGrid grid = row_grid<1>(out.dim(0), out.dim(1), stream, "matmul");
    launch(scale_kernel<T>, grid.launch, device_pointer<T>(out), out.row_stride, out.dim(1), beta,
           grid.parts);
  });
}

// A handle a device, and the plans that were made on it.
class Plans {
 public:
  static Plans& all() {
    static Plans plans;
    return plans;
  }
  Plan& find(const Key& key) {
    const std::lock_guard lock(mutex_);
    const auto [place, is_new] = plans_.try_emplace(key);
    if (is_new) {
      try {
        place->second = make(key);
      } catch (...) {
        plans_.erase(place);
        throw;
      }
    }
    return *place->second;
  }
  cublasLtHandle_t handle(int device) {
    const std::lock_guard lock(mutex_);
    return handle_of(device);
  }

 private:
  cublasLtHandle_t handle_of(int device) {
    cublasLtHandle_t& handle = handles_[device];
    if (!handle) check(cublas_lt().create(&handle), "matmul");
    return handle;
  }
  std::unique_ptr<Plan> make(const Key& key) {
    auto plan = std::make_unique<Plan>();
    check(cublas_lt().desc_create(&plan->desc, CUBLAS_COMPUTE_32F, CUDA_R_32F), "matmul");
    const cublasOperation_t no = CUBLAS_OP_N, yes = CUBLAS_OP_T;
    set(plan->desc, CUBLASLT_MATMUL_DESC_TRANSA, key.transpose_first ? yes : no);
    set(plan->desc, CUBLASLT_MATMUL_DESC_TRANSB, key.transpose_second ? yes : no);
    plan->first = make_layout(key.first);
    plan->second = make_layout(key.second);
    plan->out = make_layout(key.out);
    list_algorithms(handle_of(key.device), key, *plan);
    return plan;
  }
  std::mutex mutex_;
  std::map<int, cublasLtHandle_t> handles_;
  std::map<Key, std::unique_ptr<Plan>> plans_;
};

}  // namespace

void matmul(const Matmul& op, Stream stream) {
  if (op.out.elements() == 0) return;
  const int64_t depth = op.a_transpose == Transpose::kYes ? op.a.dim(0) : op.a.dim(1);
  if (depth == 0) {  // an empty sum: cuBLASLt has no such product
    return scale(op.out, op.beta, stream);
  }
  const Queue& q = queue(stream);
  const Key key = {.device = q.device,
                   .sums = q.sums,
                   .transpose_first = op.b_transpose == Transpose::kYes,
                   .transpose_second = op.a_transpose == Transpose::kYes,
                   .first = operand(op.b),
                   .second = operand(op.a),
                   .out = operand(op.out)};
  Plan& plan = Plans::all().find(key);
  const cublasLtHandle_t handle = Plans::all().handle(q.device);
  for (; plan.chosen < plan.found; ++plan.chosen) {
    const auto& algorithm = plan.algorithms[static_cast<size_t>(plan.chosen)];
    const cublasStatus_t status =
        cublas_lt().matmul(handle, plan.desc, &op.alpha, op.b.data, plan.first, op.a.data,
                           plan.second, &op.beta, op.out.data, plan.out, op.out.data, plan.out,
                           &algorithm, q.workspace, kCublasWorkspaceBytes, q.stream);
    if (status != CUBLAS_STATUS_NOT_SUPPORTED) return check(status, "matmul");
  }
  throw_no_algorithm(key);
}

}  // namespace nibble::cuda
