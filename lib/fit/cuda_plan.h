// SPDX-License-Identifier: Apache-2.0
// What a GPU's memory holds beside the arenas, which are laid out there by the same code as on the
// CPU: cuBLAS's workspace, and what CUDA itself takes. The latter is assumed: it depends on driver
// and device.
#pragma once

#include "fit/memory_plan.h"

namespace nibble {

inline constexpr uint64_t kCudaContextBytes = uint64_t{450} << 20;

void add_cuda_items(MemoryPlan& plan);

/// Those figures in words, for whoever reads the plan.
std::vector<std::string> cuda_assumptions();

}  // namespace nibble
