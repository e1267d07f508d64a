// SPDX-License-Identifier: Apache-2.0
// Optimizer state in the host's memory, on the emulated CUDA half: values and state after some
// updates have the bits that resident state gives.
#include <gtest/gtest.h>

#include "base/rng.h"
#include "train/optimizer.h"

namespace nibble {
namespace {

constexpr Device kCuda{.kind = DeviceKind::kCuda};

struct Outcome {
  std::vector<float> values;
  std::vector<std::pair<std::string, std::vector<std::byte>>> state;
  bool operator==(const Outcome&) const = default;
};

// `steps` updates of tensors of many sizes; the first page is on its way before each.
Outcome run(const OptimizerOptions& options, int64_t steps) {
  const OwnedStream stream(kCuda);
  const StreamScope scope(stream.get());
  ParameterSet parameters;
  for (const int64_t size : {33, 70000, 4095, 4096, 20001, 5, 40000})
    parameters.add(cat("p", size), {size}, size % 2 == 0);
  const Arena arena = parameters.lay_out(kCuda, Dtype::kBf16, true);
  std::optional<Optimizer> optimizer;
  const Arena state =
      make_arena(kCuda, [&](Arena& a) { optimizer.emplace(options, parameters, a); });
  const int64_t extent = parameters.extent();
  std::vector<float> host(static_cast<size_t>(extent));
  const auto draw = [&](const Tensor& to, uint64_t seed) {
    Rng rng(seed);
    std::fill(host.begin(), host.end(), 0.0f);
    for (const ParameterRange& s : parameters.segments(0.0f))
      for (int64_t i = s.begin; i < s.begin + s.count; ++i)
        host[static_cast<size_t>(i)] = static_cast<float>(rng.normal());
    copy(to, view(host.data(), {extent}));
    synchronize();
  };
  draw(parameters.values(), 1);
  for (int64_t step = 1; step <= steps; ++step) {
    if (step != 2) optimizer->prefetch();
    draw(parameters.gradients(), 100 + static_cast<uint64_t>(step));
    optimizer->update(step, 1e-2, 0.5);
  }
  synchronize();
  Outcome out;
  out.values.resize(static_cast<size_t>(extent));
  copy(view(out.values.data(), {extent}), parameters.values());
  synchronize();
  for (const StateArray& a : optimizer->state()) {
    std::unique_ptr<std::byte[]> staging;
    const auto bytes = host_bytes(a.tensor, staging);
    out.state.emplace_back(a.name, std::vector(bytes.begin(), bytes.end()));
  }
  return out;
}

TEST(PagedOptimizer, HasTheBitsOfResidentState) {
  for (const char* name : {"adamw", "adamw-8bit"}) {
    OptimizerOptions options{.name = name, .weight_decay = 0.01};
    const Outcome want = run(options, 3);
    options.paged = true;
    for (const int64_t elements : {kLeastPageElements, int64_t{50000}, int64_t{1} << 21}) {
      options.page_elements = elements;
      EXPECT_TRUE(run(options, 3) == want) << name << ", pages of " << elements;
    }
  }
}

TEST(PagedOptimizer, HoldsThreePagesOnTheDevice) {
  ParameterSet parameters;
  parameters.add("p", {200000}, true);
  const OptimizerOptions options{.paged = true, .page_elements = kLeastPageElements};
  Arena arena(kCuda);
  const Optimizer optimizer(options, parameters, arena);
  Arena factors(kCuda);
  take_clip_factors(factors);
  EXPECT_LE(arena.peak(), 3 * 2 * sizeof(float) * kLeastPageElements + factors.peak());
}

}  // namespace
}  // namespace nibble
