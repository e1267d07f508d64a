// SPDX-License-Identifier: Apache-2.0
// What differs on a GPU. Matmuls read bf16 there and need neither the CPU's f32 panels nor its
// packing scratch; in their place come two bf16 panels, into which 4-bit weights are expanded while
// the product before runs, and what CUDA and cuBLAS take for themselves. The latter is assumed:
// it depends on driver and device.
#pragma once

#include "fit/memory_plan.h"

namespace nibble {

inline constexpr uint64_t kCudaContextBytes = uint64_t{450} << 20;
inline constexpr uint64_t kCublasWorkspaceBytes = uint64_t{32} << 20;

/// Replaces the items that are the CPU's own.
void make_cuda_plan(MemoryPlan& plan, const Model& model, const StepBuffers& buffers,
                    const StepOptions& options);

/// Those figures in words, for whoever reads the plan.
std::vector<std::string> cuda_assumptions();

}  // namespace nibble
