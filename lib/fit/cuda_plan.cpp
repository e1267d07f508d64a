// SPDX-License-Identifier: Apache-2.0
#include "fit/cuda_plan.h"

#include "base/error.h"
#include "tensor/cuda.h"

namespace nibble {

void add_cuda_items(MemoryPlan& plan) {
  plan.add("cuBLAS workspace", cuda::kCublasWorkspaceBytes);
  plan.add("CUDA context (assumed)", kCudaContextBytes);
}

std::vector<std::string> cuda_assumptions() {
  return {cat("the CUDA context takes ", kCudaContextBytes >> 20, " MiB, cuBLAS a workspace of ",
              cuda::kCublasWorkspaceBytes >> 20, " MiB; both differ by driver and device"),
          "all other items are laid out by the code that trains"};
}

}  // namespace nibble
