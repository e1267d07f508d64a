// SPDX-License-Identifier: Apache-2.0
// What a GPU's memory holds beside the arenas, which are laid out there by the same code as on the
// CPU: cuBLAS's workspace, and what CUDA itself takes, for its context and for graphs. The latter
// is assumed: it depends on driver and device.
#pragma once

#include "fit/generator_layout.h"

namespace nibble {

inline constexpr uint64_t kCudaContextBytes = uint64_t{450} << 20;
/// Of the driver for a kernel of a graph, as NVIDIA's own say (github.com/NVIDIA/cccl, pull request
/// 3768: "around 10KB per kernel node").
inline constexpr uint64_t kGraphNodeBytes = uint64_t{10} << 10;

/// Kernels of the graphs that a step may hold, and of those that generation may; 0 without graphs.
int64_t step_graph_nodes(const ModelConfig& config, const StepOptions& options);
int64_t decode_graph_nodes(const ModelConfig& config, const GeneratorSizes& sizes);

void add_cuda_items(MemoryPlan& plan, int64_t graph_nodes);

/// Those figures in words, for whoever reads the plan.
std::vector<std::string> cuda_assumptions();

}  // namespace nibble
