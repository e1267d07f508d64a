// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/cublas_lt.h"

#include <dlfcn.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "base/error.h"
#include "kernels/cuda/check.h"

namespace nibble::cuda {
namespace {

#ifdef NIBBLE_EMULATE
#define NIBBLE_CUBLAS_ENTRY(name) &::name
#else
constexpr const char* kLibrary = "libcublasLt.so.13";

void* entry(const char* name) {
  static void* const library = [] {
    // Beside the binary (run path) or where the loader looks; then in toolkits.
    std::vector<std::string> places = {kLibrary};
    for (const char* variable : {"CUDA_HOME", "CUDA_PATH"})
      if (const char* home = getenv(variable)) places.push_back(cat(home, "/lib64/", kLibrary));
    for (const char* folder : {NIBBLE_CUDA_LIBRARIES, "/usr/local/cuda/lib64"})
      places.push_back(cat(folder, "/", kLibrary));
    for (const std::string& place : places)
      if (void* handle = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL)) return handle;
    throw UnavailableError(cat("cannot open ", kLibrary, " (", dlerror(),
                               "); install cuBLAS 13 or add its folder to LD_LIBRARY_PATH"));
  }();
  void* const found = dlsym(library, name);
  if (!found) throw UnavailableError(cat(kLibrary, " has no ", name, "; install cuBLAS 13"));
  return found;
}
#define NIBBLE_CUBLAS_ENTRY(name) reinterpret_cast<decltype(&::name)>(entry(#name))
#endif

}  // namespace

const CublasLt& cublas_lt() {
  static const CublasLt library = {
      .create = NIBBLE_CUBLAS_ENTRY(cublasLtCreate),
      .matmul = NIBBLE_CUBLAS_ENTRY(cublasLtMatmul),
      .heuristic = NIBBLE_CUBLAS_ENTRY(cublasLtMatmulAlgoGetHeuristic),
      .desc_create = NIBBLE_CUBLAS_ENTRY(cublasLtMatmulDescCreate),
      .desc_destroy = NIBBLE_CUBLAS_ENTRY(cublasLtMatmulDescDestroy),
      .desc_set = NIBBLE_CUBLAS_ENTRY(cublasLtMatmulDescSetAttribute),
      .layout_create = NIBBLE_CUBLAS_ENTRY(cublasLtMatrixLayoutCreate),
      .layout_destroy = NIBBLE_CUBLAS_ENTRY(cublasLtMatrixLayoutDestroy),
      .preference_create = NIBBLE_CUBLAS_ENTRY(cublasLtMatmulPreferenceCreate),
      .preference_destroy = NIBBLE_CUBLAS_ENTRY(cublasLtMatmulPreferenceDestroy),
      .preference_set = NIBBLE_CUBLAS_ENTRY(cublasLtMatmulPreferenceSetAttribute),
  };
  return library;
}

void check(cublasStatus_t status, const char* what) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return;
    case CUBLAS_STATUS_ALLOC_FAILED:
      throw MemoryError(cat(what, ": cuBLASLt has no memory; free the device"));
    case CUBLAS_STATUS_ARCH_MISMATCH:
    case CUBLAS_STATUS_NOT_INITIALIZED:
      throw UnavailableError(cat(what, ": cuBLASLt does not run on this device"));
    case CUBLAS_STATUS_EXECUTION_FAILED:
      throw BugError(cat(what, ": cuBLASLt: it, or work queued before it, failed; ", kHowToName));
    default:
      throw BugError(cat(what, ": cuBLASLt status ", static_cast<int>(status)));
  }
}

}  // namespace nibble::cuda
