// SPDX-License-Identifier: Apache-2.0
// A step allocates nothing: its memory was planned and laid out before the first.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <optional>

#include "base/threads.h"
#include "kernels/matmul.h"
#include "kernels/optimizer.h"
#include "kernels/simd.h"
#include "model/lora.h"
#include "model/step.h"
#include "support/scratch.h"
#include "support/tiny_model.h"

namespace {
std::atomic<bool> counting = false;
std::atomic<int64_t> allocations = 0;
}  // namespace

// GCC inlines the one and takes free() for the mistake it would be elsewhere.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

void* operator new(size_t bytes) {
  if (counting) ++allocations;
  if (void* p = std::malloc(bytes > 0 ? bytes : 1)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept {
  std::free(p);
}
void operator delete(void* p, size_t) noexcept {
  std::free(p);
}

namespace nibble {
namespace {

int64_t allocations_of_a_step(const std::string& family, StepOptions options) {
  constexpr int64_t kTokens = 64;
  test::ScratchFolder folder;
  test::write_tiny_model(folder.path(), test::tiny_config(family), 7);
  Model model = load_model(folder.path());
  const LoraConfig lora{.dropout = options.dropout};
  attach_lora(model, lora);
  const Arena parameters = model.parameters.lay_out(Device{}, options.compute, true);
  init_trained(model, lora, 3);
  model.parameters.refresh();
  options.tokens = options.labelled = options.longest = kTokens;
  const RopeTable rope = make_rope_table(model.config.rope, model.config.head_dim, kTokens);
  std::optional<Step> step;
  const Arena memory = make_arena({}, [&](Arena& a) { step.emplace(model, options, rope, a); });
  Batch batch;
  for (const int32_t length : {20, 1, 40}) {
    std::vector<int32_t> ids(static_cast<size_t>(length));
    for (int32_t i = 0; i < length; ++i) ids[static_cast<size_t>(i)] = 3 + i * 7 % 90;
    batch.append(ids, {});
  }
  int64_t count = 0;
  for (uint64_t i = 0; i < 3; ++i) {  // the first finds out what the processor can do
    allocations = 0;
    counting = true;
    model.parameters.zero_gradients();
    step->forward_backward(batch, 0.1f, {.micro_batch = i});
    l2_norm(model.parameters.gradients());
    model.parameters.refresh();
    counting = false;
    count = allocations;
  }
  return count;
}

TEST(StepAllocation, IsNone) {
  // NIBBLE_CPU=avx512 tests what is nibble's own there.
  if (cpu_has_bf16_matmul() && bf16_dot() == Bf16Dot::kNone)
    GTEST_SKIP() << "oneDNN allocates for every product of bf16";
  const int before = threads();
  set_threads(2);
  for (const char* family : {"llama", "mistral", "qwen2", "qwen3"})
    for (const Dtype compute : {Dtype::kF32, Dtype::kBf16})
      for (const Recompute recompute : {Recompute::kNone, Recompute::kLayer})
        EXPECT_EQ(allocations_of_a_step(family, {.compute = compute, .recompute = recompute}), 0)
            << family << " " << dtype_name(compute);
  EXPECT_EQ(allocations_of_a_step("llama", {.dropout = 0.1f, .neftune_alpha = 5.0f}), 0);
  set_threads(before);
}

}  // namespace
}  // namespace nibble
