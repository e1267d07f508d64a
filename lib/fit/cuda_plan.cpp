// SPDX-License-Identifier: Apache-2.0
#include "fit/cuda_plan.h"

#include <algorithm>

#include "base/checked.h"

namespace nibble {
namespace {

void set(MemoryPlan& plan, std::string_view item, uint64_t bytes) {
  std::erase_if(plan.items, [&](const auto& entry) { return entry.first == item; });
  plan.add(item, bytes);
}

uint64_t bf16_bytes(int64_t elements) {
  return round_up<uint64_t>(static_cast<uint64_t>(elements) * sizeof(bf16), 64);
}

}  // namespace

void make_cuda_plan(MemoryPlan& plan, const Model& model, const StepBuffers& b,
                    const StepOptions& o) {
  // Largest product first: a whole group of weights is expanded at once.
  int64_t widest = 0;
  for (const Block& block : model.blocks)
    for (const LinearGroup* g : {&block.qkv, &block.output, &block.gate_up, &block.down})
      if (std::any_of(g->parts.begin(), g->parts.end(),
                      [](const Projection& p) { return p.quantized && p.weight_parameter < 0; }))
        widest = std::max(widest, g->in_features() * g->out_features());
  set(plan, "weights expanded", 2 * bf16_bytes(widest));
  set(plan, "matmul scratch", kCublasWorkspaceBytes);
  // Backward keeps a dot product a row and head, and dq in f32 where tiles of keys add to it.
  const int64_t heads = model.config.heads, width = heads * model.config.head_dim;
  set(plan, "attention scratch",
      o.training ? static_cast<uint64_t>(o.tokens * (heads + width)) * sizeof(float) : 0);
  // The chunk of logits is bf16, and a head that is bf16 is read where it lies.
  const HeadBuffers& h = b.head;
  const uint64_t logits = static_cast<uint64_t>(h.logits.elements());
  if (h.logits.dtype == Dtype::kF32 && plan.of("loss chunk") >= 2 * logits)
    set(plan, "loss chunk", plan.of("loss chunk") - 2 * logits);
  const bool direct = model.head.weight_parameter >= 0 ||
                      (model.head.weight && model.head.weight.dtype == Dtype::kBf16);
  set(plan, "head expanded", direct ? 0 : bf16_bytes(h.panel.elements()));
  const auto tokens = static_cast<uint64_t>(o.tokens);
  plan.add("token ids and labels", tokens * 5 * sizeof(int32_t));
  plan.add("CUDA context (assumed)", kCudaContextBytes);
}

std::vector<std::string> cuda_assumptions() {
  return {cat("the CUDA context takes ", kCudaContextBytes >> 20, " MiB, cuBLAS a workspace of ",
              kCublasWorkspaceBytes >> 20, " MiB; both differ by driver and device"),
          "all other items are laid out by the code that trains"};
}

}  // namespace nibble
