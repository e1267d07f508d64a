// SPDX-License-Identifier: Apache-2.0
// cuBLASLt on the CPU, for what nibble uses of it: real types, strided batches, bias. It refuses
// whatever the documentation does not promise; kRules names each rule with the section that states
// it (cuBLAS documentation, "Using the cuBLASLt API").
#include <cublasLt.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/float16.h"
#include "emulate.h"
#include "memory.h"
#include "report.h"
#include "streams.h"

struct cublasLtContext {
  int unused;
};
struct cublasLtMatmulDescOpaque_t {
  cublasComputeType_t compute;
  cudaDataType_t scale;
  int32_t pointer_mode = CUBLASLT_POINTER_MODE_HOST;
  int32_t op_a = CUBLAS_OP_N, op_b = CUBLAS_OP_N, op_c = CUBLAS_OP_N;
  uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const void* bias = nullptr;
  int32_t bias_type = -1;
  int32_t processors = 0;
};
struct cublasLtMatrixLayoutOpaque_t {
  uint32_t type;
  int32_t order = CUBLASLT_ORDER_COL;
  uint64_t rows, columns;
  int64_t ld;
  int32_t batches = 1;
  int64_t stride = 0;
  bool operator==(const cublasLtMatrixLayoutOpaque_t&) const = default;
};
struct cublasLtMatmulPreferenceOpaque_t {
  uint32_t search = 0;
  uint64_t workspace_bytes = 0;
  uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_MASK;
  uint32_t alignment[4] = {256, 256, 256, 256};
};

namespace nibble::emulate {
namespace {

using Desc = cublasLtMatmulDescOpaque_t;
using Layout = cublasLtMatrixLayoutOpaque_t;
constexpr auto kInvalid = CUBLAS_STATUS_INVALID_VALUE;
constexpr auto kUnsupported = CUBLAS_STATUS_NOT_SUPPORTED;

size_t element_bytes(uint32_t type) {
  return type == CUDA_R_32F ? 4 : 2;
}

// What the twin's algorithms promise, kept in cublasLtMatmulAlgo_t.
struct Algorithm {
  uint64_t key;
  uint32_t alignment[4];
  uint32_t reduction;  // cublasLtReductionScheme_t
  uint64_t workspace_bytes;
  int place;  // in the heuristic's list
};
static_assert(sizeof(Algorithm) <= sizeof(cublasLtMatmulAlgo_t));

// An algorithm that splits k makes so many parts, where it has so much to split: little, so that
// small products in tests are split too.
constexpr uint64_t kParts = 2, kLeastSplit = 8;

// A product as cublasLtMatmul is asked for it; without pointers for the heuristic.
struct Product {
  const Desc* desc;
  const Layout *a, *b, *c, *d;
  bool with_pointers = false;
  const void *alpha = nullptr, *beta = nullptr;
  const void *a_data = nullptr, *b_data = nullptr, *c_data = nullptr;
  void* d_data = nullptr;
  const Algorithm* algorithm = nullptr;
  void* workspace = nullptr;
  size_t workspace_bytes = 0;
  uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_MASK;  // that the preference allows

  uint64_t m() const { return desc->op_a == CUBLAS_OP_N ? a->rows : a->columns; }
  uint64_t k() const { return desc->op_a == CUBLAS_OP_N ? a->columns : a->rows; }
  uint64_t b_rows() const { return desc->op_b == CUBLAS_OP_N ? b->rows : b->columns; }
  uint64_t n() const { return desc->op_b == CUBLAS_OP_N ? b->columns : b->rows; }
  uint64_t key() const {
    uint64_t hash = 1469598103934665603u;
    for (const uint64_t v :
         {uint64_t{a->type}, uint64_t{b->type}, uint64_t{c->type}, uint64_t{d->type},
          static_cast<uint64_t>(desc->op_a), static_cast<uint64_t>(desc->op_b),
          uint64_t{desc->epilogue}, static_cast<uint64_t>(a->order),
          static_cast<uint64_t>(b->order), static_cast<uint64_t>(d->order)}) {
      hash = (hash ^ v) * 1099511628211u;
    }
    return hash;
  }
  // Room for the sums of each part of k.
  uint64_t parts_bytes() const {
    return kParts * m() * n() * static_cast<uint64_t>(d->batches) * sizeof(float);
  }
  float scalar(const void* p) const {
    float value;
    memcpy(&value, p, sizeof value);
    return value;
  }
  bool reads_c() const {
    return desc->pointer_mode != CUBLASLT_POINTER_MODE_HOST || beta == nullptr || scalar(beta) != 0;
  }
};

bool ld_fits(const Layout& l) {
  const uint64_t least = l.order == CUBLASLT_ORDER_COL ? l.rows : l.columns;
  return l.ld > 0 && static_cast<uint64_t>(l.ld) >= least;
}

bool types_fit(const Product& p) {
  const uint32_t a = p.a->type, c = p.c->type;
  if (p.b->type != a || p.d->type != c) return false;
  if (a == CUDA_R_16BF) return c == CUDA_R_16BF || c == CUDA_R_32F;
  if (a == CUDA_R_16F) return c == CUDA_R_16F || c == CUDA_R_32F;
  return a == CUDA_R_32F && c == CUDA_R_32F;
}

bool batches_fit(const Product& p) {
  for (const Layout* l : {p.b, p.c, p.d}) {
    if (l->batches != p.a->batches) return false;
  }
  // Results may not lie on each other.
  const Layout& d = *p.d;
  const auto lines = static_cast<int64_t>(d.order == CUBLASLT_ORDER_COL ? d.columns : d.rows);
  return d.batches == 1 || d.stride >= d.ld * lines;
}

size_t span_bytes(const Layout& l) {
  const uint64_t lines = l.order == CUBLASLT_ORDER_COL ? l.columns : l.rows;
  const uint64_t along = l.order == CUBLASLT_ORDER_COL ? l.rows : l.columns;
  const uint64_t last =
      static_cast<uint64_t>(std::max<int64_t>(l.stride, 0)) * static_cast<uint64_t>(l.batches - 1);
  return (last + (lines - 1) * static_cast<uint64_t>(l.ld) + along) * element_bytes(l.type);
}

bool overlap(const void* p, const Layout& p_layout, const void* q, const Layout& q_layout) {
  const auto a = reinterpret_cast<uintptr_t>(p), b = reinterpret_cast<uintptr_t>(q);
  if (a >= b + span_bytes(q_layout) || b >= a + span_bytes(p_layout)) return false;
  // Parts of the same lines lie between each other.
  const auto line = [](const Layout& l) {
    return (l.order == CUBLASLT_ORDER_COL ? l.rows : l.columns) * element_bytes(l.type);
  };
  const auto pitch = [](const Layout& l) {
    return static_cast<uint64_t>(l.ld) * element_bytes(l.type);
  };
  if (p_layout.order != q_layout.order || pitch(p_layout) != pitch(q_layout) ||
      p_layout.batches > 1 || q_layout.batches > 1)
    return true;
  const uint64_t apart = (a < b ? b - a : a - b) % pitch(p_layout);
  const auto& [low, high] = a < b ? std::tie(p_layout, q_layout) : std::tie(q_layout, p_layout);
  return apart < line(low) || pitch(p_layout) - apart < line(high);
}

bool aligned(const void* p, size_t bytes) {
  return reinterpret_cast<uintptr_t>(p) % bytes == 0;
}

// What is promised of alignment: the algorithm's, else that of an element.
bool pointers_aligned(const Product& p) {
  const void* pointers[] = {p.a_data, p.b_data, p.reads_c() ? p.c_data : nullptr, p.d_data};
  const Layout* layouts[] = {p.a, p.b, p.c, p.d};
  for (int i = 0; i < 4; ++i) {
    const size_t least =
        p.algorithm == nullptr ? element_bytes(layouts[i]->type) : p.algorithm->alignment[i];
    if (!aligned(pointers[i], least)) return false;
  }
  return true;
}

struct Rule {
  const char* section;
  const char* text;
  cublasStatus_t status;
  bool (*holds)(const Product&);
};

constexpr const char* kMatmul = "cublasLtMatmul()";
constexpr Rule kRules[] = {
    {"cublasComputeType_t", "computes in 32F, scales in 32F", kUnsupported,
     [](const Product& p) {
       return (p.desc->compute == CUBLAS_COMPUTE_32F ||
               p.desc->compute == CUBLAS_COMPUTE_32F_PEDANTIC) &&
              p.desc->scale == CUDA_R_32F;
     }},
    {kMatmul,
     "A and B of one type, C and D of one type; 16BF to 16BF or 32F, 16F alike, 32F to 32F",
     kUnsupported, types_fit},
    {"cublasLtMatmulDescAttributes_t", "C is not transposed", kUnsupported,
     [](const Product& p) { return p.desc->op_c == CUBLAS_OP_N; }},
    {"cublasLtMatrixLayoutCreate()", "rows, columns and k are not 0", kInvalid,
     [](const Product& p) { return p.m() > 0 && p.n() > 0 && p.k() > 0; }},
    {kMatmul, "op(A) is m x k, op(B) k x n, C and D m x n", kInvalid,
     [](const Product& p) {
       return p.b_rows() == p.k() && p.d->rows == p.m() && p.d->columns == p.n() &&
              p.c->rows == p.m() && p.c->columns == p.n();
     }},
    {"cublasLtMatrixLayoutAttribute_t", "the leading dimension holds a column (a row of ROW order)",
     kInvalid,
     [](const Product& p) {
       return ld_fits(*p.a) && ld_fits(*p.b) && ld_fits(*p.c) && ld_fits(*p.d);
     }},
    {"cublasLtMatrixLayoutAttribute_t", "as many batches in each, results apart", kInvalid,
     batches_fit},
    {"cublasLtEpilogue_t", "no epilogue, or a bias as long as D has rows", kUnsupported,
     [](const Product& p) {
       return p.desc->epilogue == CUBLASLT_EPILOGUE_DEFAULT ||
              p.desc->epilogue == CUBLASLT_EPILOGUE_BIAS;
     }},
    {"cublasLtEpilogue_t", "a bias has a pointer, aligned to its elements", kInvalid,
     [](const Product& p) {
       return p.desc->epilogue != CUBLASLT_EPILOGUE_BIAS || !p.with_pointers ||
              (p.desc->bias != nullptr && aligned(p.desc->bias, element_bytes(p.d->type)));
     }},
    {"cublasLtMatmulDescAttributes_t", "the bias is of D's type", kUnsupported,
     [](const Product& p) {
       return p.desc->bias_type < 0 || static_cast<uint32_t>(p.desc->bias_type) == p.d->type;
     }},
    {kMatmul, "alpha, beta, A, B and D are given, and C where beta is not 0", kInvalid,
     [](const Product& p) {
       return !p.with_pointers ||
              (p.alpha != nullptr && p.beta != nullptr && p.a_data != nullptr &&
               p.b_data != nullptr && p.d_data != nullptr && (!p.reads_c() || p.c_data != nullptr));
     }},
    {kMatmul, "A, B, C and D lie in device memory", kInvalid,
     [](const Product& p) {
       if (!p.with_pointers) return true;
       for (const void* data : std::initializer_list<const void*>{
                p.a_data, p.b_data, p.reads_c() ? p.c_data : p.d_data, p.d_data}) {
         const Place place = find_allocation(data, 1);
         if (!place.live || place.kind != Kind::kDevice) return false;
       }
       return true;
     }},
    {kMatmul, "in place (C is D) only with one layout", kInvalid,
     [](const Product& p) {
       return !p.with_pointers || p.c_data != p.d_data || !p.reads_c() || *p.c == *p.d;
     }},
    {kMatmul, "D overlaps neither A nor B, nor C unless it is C", kInvalid,
     [](const Product& p) {
       if (!p.with_pointers) return true;
       return !overlap(p.d_data, *p.d, p.a_data, *p.a) &&
              !overlap(p.d_data, *p.d, p.b_data, *p.b) &&
              (!p.reads_c() || p.c_data == p.d_data || !overlap(p.d_data, *p.d, p.c_data, *p.c));
     }},
    {"cublasLtMatmulPreferenceAttributes_t",
     "pointers as aligned as the algorithm was chosen for (256 bytes unless a smaller one was "
     "asked)",
     kInvalid, [](const Product& p) { return !p.with_pointers || pointers_aligned(p); }},
    {kMatmul, "the workspace is 256-byte aligned and as large as the algorithm needs", kInvalid,
     [](const Product& p) {
       return !p.with_pointers ||
              (aligned(p.workspace, 256) && (p.workspace_bytes == 0 || p.workspace != nullptr) &&
               (p.algorithm == nullptr || p.workspace_bytes >= p.algorithm->workspace_bytes));
     }},
    {"cublasLtMatmulPreferenceAttributes_t", "the mask of reduction schemes names schemes alone",
     kInvalid,
     [](const Product& p) {
       return (p.reductions & ~uint32_t{CUBLASLT_REDUCTION_SCHEME_MASK}) == 0;
     }},
    {"cublasLtReductionScheme_t",
     "without a reduction scheme a sum is made in one sequence; of the others the twin knows "
     "COMPUTE_TYPE, parts of k in the workspace, added in their order",
     kUnsupported,
     [](const Product& p) {
       return p.algorithm == nullptr || p.algorithm->reduction == CUBLASLT_REDUCTION_SCHEME_NONE ||
              (p.algorithm->reduction == CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE &&
               p.k() >= kLeastSplit && p.algorithm->workspace_bytes >= p.parts_bytes());
     }},
    {"cublasLtMatmulAlgoGetHeuristic()", "the algorithm was chosen for these types and operations",
     kInvalid,
     [](const Product& p) { return p.algorithm == nullptr || p.algorithm->key == p.key(); }},
};

std::string& last_refusal() {
  static std::string text;
  return text;
}

cublasStatus_t check_rules(const Product& p) {
  last_refusal().clear();
  for (const Rule& rule : kRules) {
    if (rule.holds(p)) continue;
    last_refusal() = std::string(rule.section) + ": " + rule.text;
    return rule.status;
  }
  return CUBLAS_STATUS_SUCCESS;
}

float element(const void* data, uint32_t type, int64_t index) {
  if (type == CUDA_R_32F) return static_cast<const float*>(data)[index];
  const uint16_t bits = static_cast<const uint16_t*>(data)[index];
  return type == CUDA_R_16BF ? to_float(bf16{bits}) : to_float(f16{bits});
}

void set_element(void* data, uint32_t type, int64_t index, float value) {
  if (type == CUDA_R_32F) {
    static_cast<float*>(data)[index] = value;
  } else {
    static_cast<uint16_t*>(data)[index] =
        type == CUDA_R_16BF ? to_bf16(value).bits : to_f16(value).bits;
  }
}

int64_t index_of(const Layout& l, int64_t row, int64_t column) {
  return l.order == CUBLASLT_ORDER_COL ? row + column * l.ld : column + row * l.ld;
}

bool check_matrix(const void* data, const Layout& l, bool write) {
  const auto lines = static_cast<int64_t>(l.order == CUBLASLT_ORDER_COL ? l.columns : l.rows);
  const size_t along = (l.order == CUBLASLT_ORDER_COL ? l.rows : l.columns) * element_bytes(l.type);
  const auto* base = static_cast<const char*>(data);
  for (int64_t batch = 0; batch < l.batches; ++batch) {
    for (int64_t i = 0; i < lines; ++i) {
      const int64_t at =
          (batch * l.stride + i * l.ld) * static_cast<int64_t>(element_bytes(l.type));
      if (!check_range(base + at, along, write)) return false;
    }
  }
  return true;
}

// The operand with its k contiguous, as floats.
std::vector<float> packed(const void* data, const Layout& l, bool k_is_rows, int64_t outer,
                          int64_t k) {
  std::vector<float> panel(static_cast<size_t>(outer * k));
#pragma omp parallel for
  for (int64_t i = 0; i < outer; ++i) {
    for (int64_t j = 0; j < k; ++j) {
      panel[static_cast<size_t>(i * k + j)] =
          element(data, l.type, k_is_rows ? index_of(l, j, i) : index_of(l, i, j));
    }
  }
  return panel;
}

float dot(const float* x, const float* y, int64_t k) {
  constexpr int kLanes = 16;
  float lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= k; i += kLanes) {
    for (int j = 0; j < kLanes; ++j) lanes[j] += x[i + j] * y[i + j];
  }
  for (; i < k; ++i) lanes[0] += x[i] * y[i];
  float sum = 0;
  for (const float lane : lanes) sum += lane;
  return sum;
}

struct Call {
  Desc desc;
  Layout a, b, c, d;
  float alpha, beta;
  const void *alpha_device, *beta_device;
  const void *a_data, *b_data, *c_data;
  void* d_data;
  uint64_t parts;  // of k, each summed by itself
};

std::atomic<int64_t> split_products;

void multiply(const Call& call) {
  float alpha = call.alpha, beta = call.beta;
  if (call.desc.pointer_mode == CUBLASLT_POINTER_MODE_DEVICE) {
    if (!check_range(call.alpha_device, 4, false) || !check_range(call.beta_device, 4, false)) {
      return;
    }
    memcpy(&alpha, call.alpha_device, 4);
    memcpy(&beta, call.beta_device, 4);
  }
  const auto m = static_cast<int64_t>(call.d.rows), n = static_cast<int64_t>(call.d.columns);
  const auto k = static_cast<int64_t>(call.desc.op_a == CUBLAS_OP_N ? call.a.columns : call.a.rows);
  const auto parts = static_cast<int64_t>(call.parts);
  const bool bias = call.desc.epilogue == CUBLASLT_EPILOGUE_BIAS;
  if (!check_matrix(call.a_data, call.a, false) || !check_matrix(call.b_data, call.b, false) ||
      (beta != 0 && !check_matrix(call.c_data, call.c, false)) ||
      (bias &&
       !check_range(call.desc.bias, static_cast<size_t>(m) * element_bytes(call.d.type), false)) ||
      !check_matrix(call.d_data, call.d, true)) {
    return;
  }
  const auto at = [](const void* data, const Layout& l, int64_t batch) {
    return static_cast<const char*>(data) +
           batch * l.stride * static_cast<int64_t>(element_bytes(l.type));
  };
  for (int64_t batch = 0; batch < call.d.batches; ++batch) {
    const auto left =
        packed(at(call.a_data, call.a, batch), call.a, call.desc.op_a != CUBLAS_OP_N, m, k);
    const auto right =
        packed(at(call.b_data, call.b, batch), call.b, call.desc.op_b == CUBLAS_OP_N, n, k);
    const void* c = at(call.c_data, call.c, batch);
    void* d = const_cast<char*>(at(call.d_data, call.d, batch));
#pragma omp parallel for
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        const float* x = &left[static_cast<size_t>(i * k)];
        const float* y = &right[static_cast<size_t>(j * k)];
        float sum = 0;
        for (int64_t part = 0; part < parts; ++part) {
          const int64_t from = k * part / parts, to = k * (part + 1) / parts;
          sum += dot(x + from, y + from, to - from);
        }
        float value = alpha * sum;
        if (beta != 0) value += beta * element(c, call.c.type, index_of(call.c, i, j));
        if (bias) value += element(call.desc.bias, call.d.type, i);
        set_element(d, call.d.type, index_of(call.d, i, j), value);
      }
    }
  }
}

// Writes an attribute where it is known and of the right size.
struct Field {
  void* at;
  size_t bytes;
};
cublasStatus_t set_field(const std::map<int, Field>& fields, int attribute, const void* value,
                         size_t bytes) {
  const auto field = fields.find(attribute);
  if (value == nullptr || field == fields.end() || field->second.bytes != bytes) return kInvalid;
  memcpy(field->second.at, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace

std::string take_matmul_refusal() {
  return std::exchange(last_refusal(), {});
}

int64_t take_split_products() {
  return split_products.exchange(0);
}

}  // namespace nibble::emulate

using namespace nibble::emulate;

extern "C" {

const char* cublasLtGetStatusName(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_ALLOC_FAILED:
      return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_ARCH_MISMATCH:
      return "CUBLAS_STATUS_ARCH_MISMATCH";
    case CUBLAS_STATUS_MAPPING_ERROR:
      return "CUBLAS_STATUS_MAPPING_ERROR";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_INTERNAL_ERROR:
      return "CUBLAS_STATUS_INTERNAL_ERROR";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
    case CUBLAS_STATUS_LICENSE_ERROR:
      return "CUBLAS_STATUS_LICENSE_ERROR";
  }
  return "unknown";
}
const char* cublasLtGetStatusString(cublasStatus_t status) {
  return cublasLtGetStatusName(status);
}
size_t cublasLtGetVersion() {
  return 130000;
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  if (handle == nullptr) return kInvalid;
  *handle = new cublasLtContext{};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* desc, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
  if (desc == nullptr) return kInvalid;
  *desc = new cublasLtMatmulDescOpaque_t{.compute = compute, .scale = scale};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc) {
  delete desc;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, size_t bytes) {
  if (desc == nullptr) return kInvalid;
  return set_field({{CUBLASLT_MATMUL_DESC_COMPUTE_TYPE, {&desc->compute, 4}},
                    {CUBLASLT_MATMUL_DESC_SCALE_TYPE, {&desc->scale, 4}},
                    {CUBLASLT_MATMUL_DESC_POINTER_MODE, {&desc->pointer_mode, 4}},
                    {CUBLASLT_MATMUL_DESC_TRANSA, {&desc->op_a, 4}},
                    {CUBLASLT_MATMUL_DESC_TRANSB, {&desc->op_b, 4}},
                    {CUBLASLT_MATMUL_DESC_TRANSC, {&desc->op_c, 4}},
                    {CUBLASLT_MATMUL_DESC_EPILOGUE, {&desc->epilogue, 4}},
                    {CUBLASLT_MATMUL_DESC_BIAS_POINTER, {&desc->bias, 8}},
                    {CUBLASLT_MATMUL_DESC_SM_COUNT_TARGET, {&desc->processors, 4}},
                    {CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, {&desc->bias_type, 4}}},
                   attribute, value, bytes);
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType_t type,
                                          uint64_t rows, uint64_t columns, int64_t ld) {
  if (layout == nullptr) return kInvalid;
  *layout = new cublasLtMatrixLayoutOpaque_t{
      .type = static_cast<uint32_t>(type), .rows = rows, .columns = columns, .ld = ld};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete layout;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute,
                                                const void* value, size_t bytes) {
  if (layout == nullptr) return kInvalid;
  return set_field({{CUBLASLT_MATRIX_LAYOUT_TYPE, {&layout->type, 4}},
                    {CUBLASLT_MATRIX_LAYOUT_ORDER, {&layout->order, 4}},
                    {CUBLASLT_MATRIX_LAYOUT_ROWS, {&layout->rows, 8}},
                    {CUBLASLT_MATRIX_LAYOUT_COLS, {&layout->columns, 8}},
                    {CUBLASLT_MATRIX_LAYOUT_LD, {&layout->ld, 8}},
                    {CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, {&layout->batches, 4}},
                    {CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, {&layout->stride, 8}}},
                   attribute, value, bytes);
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  if (preference == nullptr) return kInvalid;
  *preference = new cublasLtMatmulPreferenceOpaque_t{};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete preference;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, size_t bytes) {
  if (preference == nullptr) return kInvalid;
  return set_field({{CUBLASLT_MATMUL_PREF_SEARCH_MODE, {&preference->search, 4}},
                    {CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, {&preference->workspace_bytes, 8}},
                    {CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, {&preference->reductions, 4}},
                    {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, {&preference->alignment[0], 4}},
                    {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, {&preference->alignment[1], 4}},
                    {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, {&preference->alignment[2], 4}},
                    {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, {&preference->alignment[3], 4}}},
                   attribute, value, bytes);
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int requested,
                                              cublasLtMatmulHeuristicResult_t* results,
                                              int* returned) {
  const std::lock_guard lock(api_mutex());
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (desc == nullptr || a == nullptr || b == nullptr || c == nullptr || d == nullptr ||
      preference == nullptr || results == nullptr || returned == nullptr || requested < 1) {
    return kInvalid;
  }
  *returned = 0;
  const Product product{
      .desc = desc, .a = a, .b = b, .c = c, .d = d, .reductions = preference->reductions};
  if (const cublasStatus_t status = check_rules(product)) return status;
  Algorithm algorithm{.key = product.key(),
                      .alignment = {},
                      .reduction = CUBLASLT_REDUCTION_SCHEME_NONE,
                      .workspace_bytes = 0,
                      .place = 0};
  std::copy_n(preference->alignment, 4, algorithm.alignment);
  if ((preference->reductions & CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE) != 0 &&
      product.k() >= kLeastSplit && product.parts_bytes() <= preference->workspace_bytes) {
    algorithm.reduction = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    algorithm.workspace_bytes = product.parts_bytes();
  }
  *returned = std::min(requested, 3);
  for (int i = 0; i < *returned; ++i) {
    algorithm.place = i;
    cublasLtMatmulHeuristicResult_t& result = results[i] = {};
    memcpy(result.algo.data, &algorithm, sizeof algorithm);
    result.workspaceSize = algorithm.workspace_bytes;
    // One of the list is none (cublasLt.h: valid where the state says so).
    result.state = i == 1 ? kUnsupported : CUBLAS_STATUS_SUCCESS;
    result.wavesCount = 1;
    algorithm.reduction = CUBLASLT_REDUCTION_SCHEME_NONE;
    algorithm.workspace_bytes = 0;
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void* alpha,
                              const void* a, cublasLtMatrixLayout_t a_layout, const void* b,
                              cublasLtMatrixLayout_t b_layout, const void* beta, const void* c,
                              cublasLtMatrixLayout_t c_layout, void* d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t* algo,
                              void* workspace, size_t workspace_bytes, cudaStream_t stream) {
  const std::lock_guard lock(api_mutex());
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (desc == nullptr || a_layout == nullptr || b_layout == nullptr || c_layout == nullptr ||
      d_layout == nullptr) {
    return kInvalid;
  }
  Algorithm algorithm;
  if (algo != nullptr) memcpy(&algorithm, algo->data, sizeof algorithm);
  const Product product{.desc = desc,
                        .a = a_layout,
                        .b = b_layout,
                        .c = c_layout,
                        .d = d_layout,
                        .with_pointers = true,
                        .alpha = alpha,
                        .beta = beta,
                        .a_data = a,
                        .b_data = b,
                        .c_data = c,
                        .d_data = d,
                        .algorithm = algo == nullptr ? nullptr : &algorithm,
                        .workspace = workspace,
                        .workspace_bytes = workspace_bytes};
  if (const cublasStatus_t status = check_rules(product)) return status;
  if (algo != nullptr && (algorithm.place == 1 || faulty("algorithms") ||
                          (algorithm.place == 0 && faulty("first-algorithm"))))
    return kUnsupported;
  const bool split = algo != nullptr && algorithm.reduction != CUBLASLT_REDUCTION_SCHEME_NONE;
  if (split) ++split_products;
  const bool host = desc->pointer_mode == CUBLASLT_POINTER_MODE_HOST;
  const Call call{.desc = *desc,
                  .a = *a_layout,
                  .b = *b_layout,
                  .c = *c_layout,
                  .d = *d_layout,
                  .alpha = host ? product.scalar(alpha) : 0,
                  .beta = host ? product.scalar(beta) : 0,
                  .alpha_device = alpha,
                  .beta_device = beta,
                  .a_data = a,
                  .b_data = b,
                  .c_data = c,
                  .d_data = d,
                  .parts = split ? kParts : 1};
  // The workspace is written too: products that share one must be ordered.
  const size_t used = split ? algorithm.workspace_bytes : 0;
  const auto name = "matmul " + std::to_string(product.m()) + " x " + std::to_string(product.n()) +
                    " x " + std::to_string(product.k());
  const auto run = [call, workspace, used] {
    if (used > 0 && !check_range(workspace, used, true)) return;
    multiply(call);
  };
  const cudaError_t status = enqueue(stream, {.name = name, .run = run, .counted = "matmul"});
  return status == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

}  // extern "C"
