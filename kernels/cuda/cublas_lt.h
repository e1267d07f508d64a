// SPDX-License-Identifier: Apache-2.0
// cuBLASLt, opened when the first product is asked for: half a gigabyte of library that only
// training and generation on a GPU should wait for, and that a machine without one need not have.
#pragma once

#include <cublasLt.h>

namespace nibble::cuda {

/// The entries that nibble calls, under their own names.
struct CublasLt {
  decltype(&::cublasLtCreate) create;
  decltype(&::cublasLtMatmul) matmul;
  decltype(&::cublasLtMatmulAlgoGetHeuristic) heuristic;
  decltype(&::cublasLtMatmulDescCreate) desc_create;
  decltype(&::cublasLtMatmulDescDestroy) desc_destroy;
  decltype(&::cublasLtMatmulDescSetAttribute) desc_set;
  decltype(&::cublasLtMatrixLayoutCreate) layout_create;
  decltype(&::cublasLtMatrixLayoutDestroy) layout_destroy;
  decltype(&::cublasLtMatmulPreferenceCreate) preference_create;
  decltype(&::cublasLtMatmulPreferenceDestroy) preference_destroy;
  decltype(&::cublasLtMatmulPreferenceSetAttribute) preference_set;
};

/// Throws UnavailableError where the library is not found.
const CublasLt& cublas_lt();

/// Throws what a status means, named by the op.
void check(cublasStatus_t status, const char* what);

}  // namespace nibble::cuda
