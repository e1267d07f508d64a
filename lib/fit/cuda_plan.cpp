// SPDX-License-Identifier: Apache-2.0
#include "fit/cuda_plan.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/error.h"
#include "fit/generator_layout.h"
#include "fit/step_cost.h"
#include "tensor/cuda.h"
#include "tensor/graphs.h"

namespace nibble {
namespace {

// The powers of two from `least` on that reach `most`, the last cut to it.
int64_t sizes_up_to(int64_t most, int64_t least) {
  const int64_t steps = std::bit_width(static_cast<uint64_t>(power_of_two(std::max(most, least)))) -
                        std::bit_width(static_cast<uint64_t>(least));
  return steps + 1;
}

}  // namespace

int64_t step_graph_nodes(const ModelConfig& config, const StepOptions& o) {
  if (!o.graphs) return 0;
  const StepLaunches launches = step_launches(config, o);
  return kStepGraphs * std::llround(launches.blocks + launches.loss);
}

int64_t decode_graph_nodes(const ModelConfig& config, const GeneratorSizes& s) {
  if (!s.graphs) return 0;
  const int64_t shapes = sizes_up_to(s.batch_size, 1) * sizes_up_to(s.context, kShortestDecode);
  const auto nodes = static_cast<double>(config.layers) * kDecodeLaunches + kChoiceLaunches;
  return std::min(shapes, kMostGraphs) * std::llround(nodes);
}

void add_cuda_items(MemoryPlan& plan, int64_t graph_nodes) {
  plan.add("cuBLAS workspace", cuda::kStreamBytes);
  plan.add("CUDA context (assumed)", kCudaContextBytes);
  plan.add("CUDA graphs (assumed)", static_cast<uint64_t>(graph_nodes) * kGraphNodeBytes);
}

std::vector<std::string> cuda_assumptions() {
  return {cat("the CUDA context takes ", kCudaContextBytes >> 20, " MiB, cuBLAS a workspace of ",
              cuda::kCublasWorkspaceBytes >> 20, " MiB, a graph ", kGraphNodeBytes >> 10,
              " KiB a kernel; all differ by driver and device"),
          "all other items are laid out by the code that trains"};
}

}  // namespace nibble
