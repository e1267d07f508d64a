// SPDX-License-Identifier: Apache-2.0
#include "fit/target.h"

#include "fit/machine.h"
#include "io/memory.h"
#include "kernels/machine_rates.h"

namespace nibble {
namespace {

Rates cpu_rates(Dtype compute) {
  const MachineRates r = measure_machine();
  const double products = panel_dtype(compute) == Dtype::kBf16 ? r.bf16_flops : r.f32_flops;
  return {.matmul_flops = products,
          .memory_bytes = r.read_bytes,
          .expanded_weights = r.expanded_weights,
          .vector_flops = r.vector_flops,
          .matmul_share = kMeasuredShare,
          .memory_share = kMeasuredShare};
}

Target this_gpu(const TargetChoice& choice, const std::vector<Gpu>& catalogue) {
  const auto found = detect_gpus();
  if (found.empty() && choice.limit == 0)
    throw UnavailableError("--device=cuda: no NVIDIA driver or GPU here; name one with --gpu");
  if (found.empty()) return {.name = "a GPU"};
  Target t = {.name = found[0].name, .limit = found[0].free_bytes};
  if (const Gpu* known = match_device(catalogue, found[0].name, found[0].bytes)) {
    t.gpu = *known;
    t.rates = known->rates();
  }
  return t;
}

}  // namespace

Target find_target(const TargetChoice& choice, std::vector<std::string>& notes) {
  const auto catalogue = gpu_catalogue(choice.catalogue);
  Target t;
  if (!choice.gpu.empty()) {
    const Gpu& gpu = find_gpu(catalogue, choice.gpu);
    t = {gpu.name, gpu.usable_bytes(), gpu.rates(), gpu};
  } else if (choice.device == "cuda") {
    t = this_gpu(choice, catalogue);
  } else {
    t = {.name = cpu_name(), .limit = memory_total(), .rates = cpu_rates(choice.compute)};
    for (const DetectedGpu& gpu : detect_gpus())
      notes.push_back(cat("this machine has ", gpu.name, ": --device=cuda plans for it"));
  }
  if (choice.limit > 0) t.limit = choice.limit;
  if (t.gpu && t.gpu->compute_capability < kLeastComputeCapability)
    notes.push_back(cat(t.gpu->name, " is older than the GPUs that nibble's CUDA half is made for ",
                        "(Ampere and later): this is a plan of memory alone"));
  return t;
}

}  // namespace nibble
