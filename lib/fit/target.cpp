// SPDX-License-Identifier: Apache-2.0
#include "fit/target.h"

#include <charconv>
#include <cmath>

#include "base/quote.h"
#include "fit/machine.h"
#include "io/memory.h"
#include "kernels/machine_rates.h"

namespace nibble {
namespace {

Rates cpu_rates(Dtype compute) {
  const MachineRates r = measure_machine(panel_dtype(compute));
  return {.matmul_flops = r.bf16_flops + r.f32_flops,  // one of them
          .memory_bytes = r.read_bytes,
          .expanded_weights = r.expanded_weights,
          .vector_flops = r.vector_flops,
          .matmul_share = kMeasuredShare,
          .memory_share = kMeasuredShare};
}

// Of "cuda" or "cuda:N".
size_t device_number(std::string_view device) {
  constexpr std::string_view kName = "cuda";
  size_t number = 0;
  if (device == kName) return number;
  const char* end = device.data() + device.size();
  if (device.starts_with("cuda:")) {
    const auto [at, error] = std::from_chars(device.data() + kName.size() + 1, end, number);
    if (error == std::errc() && at == end && number < 1024) return number;
  }
  throw UsageError(cat("--device=", quote(device), ": not cpu, cuda or cuda:N"));
}

Target this_gpu(const TargetChoice& choice, const std::vector<Gpu>& catalogue) {
  const size_t index = device_number(choice.device);
  const auto found = detect_gpus();
  if (found.empty() && choice.limit == 0)
    throw UnavailableError("--device=cuda: no NVIDIA driver or GPU here; name one with --gpu");
  if (found.empty()) return {.name = "a GPU", .limits = {}, .rates = {}, .gpu = {}, .host = {}};
  if (index >= found.size())
    throw UnavailableError(cat("--device=", choice.device, ": this machine has ", found.size(),
                               " of NVIDIA's GPUs, numbered from 0"));
  const DetectedGpu& device = found[index];
  Target t = known_device(catalogue, device.name, device.bytes);
  t.limits = {.device = device.free_bytes, .host = pinnable_memory()};
  t.host = cat(std::lround(100.0 * kPinnableShare), "% of what is free here");
  return t;
}

void set_host(Target& t, const TargetChoice& choice) {
  if (choice.host_limit > 0) {
    t.limits.host = choice.host_limit;
    t.host = "as --host-memory says";
  } else if (t.host.empty()) {
    t.limits.host = t.gpu ? t.gpu->bytes() : t.limits.device;
    t.host = "as much as the GPU, not knowing more; --host-memory says otherwise";
  }
}

}  // namespace

Target known_device(const std::vector<Gpu>& catalogue, const std::string& name, uint64_t bytes) {
  Target t = {.name = name, .limits = {.device = bytes}, .rates = {}, .gpu = {}, .host = {}};
  if (const Gpu* known = match_device(catalogue, name, bytes)) {
    t.gpu = *known;
    t.rates = known->rates();
  }
  return t;
}

uint64_t pinnable_memory() {
  return static_cast<uint64_t>(kPinnableShare * static_cast<double>(memory_available()));
}

Target find_target(const TargetChoice& choice, std::vector<std::string>& notes) {
  const auto catalogue = gpu_catalogue(choice.catalogue);
  Target t;
  if (choice.gpu) {
    const Gpu& gpu = find_gpu(catalogue, *choice.gpu);
    t = {gpu.name, {.device = gpu.usable_bytes()}, gpu.rates(), gpu, {}};
  } else if (choice.device != "cpu") {
    t = this_gpu(choice, catalogue);
  } else {
    t = {.name = cpu_name(),
         .limits = {.device = memory_total()},
         .rates = cpu_rates(choice.compute),
         .gpu = {},
         .host = {}};
    for (const DetectedGpu& gpu : detect_gpus())
      notes.push_back(cat("this machine has ", gpu.name, ": --device=cuda plans for it"));
  }
  if (choice.limit > 0) t.limits.device = choice.limit;
  if (choice.gpu || choice.device != "cpu") set_host(t, choice);
  if (t.gpu && t.gpu->compute_capability < kLeastComputeCapability)
    notes.push_back(
        cat(t.gpu->name, " is older than the GPUs that nibble's CUDA half is made for ",
            "(Ampere and later): the plan is what it would need, and no run of nibble's"));
  return t;
}

}  // namespace nibble
