// SPDX-License-Identifier: Apache-2.0
#include "fit/step_items.h"

#include "base/checked.h"

namespace nibble {
namespace {

class Ledger {
 public:
  explicit Ledger(MemoryPlan& plan) : plan_(plan) {}

  void add(std::string_view item, std::initializer_list<Tensor> tensors) {
    for (const Tensor& t : tensors) {
      const uint64_t bytes = Arena::room_for(t);
      plan_.add(item, bytes);
      sum_ += bytes;
    }
  }
  uint64_t sum() const { return sum_; }

 private:
  MemoryPlan& plan_;
  uint64_t sum_ = 0;
};

}  // namespace

void add_step_items(MemoryPlan& plan, const StepBuffers& b, const StepOptions& o,
                    uint64_t arena_bytes) {
  Ledger ledger(plan);
  const bool shared = remade(o) != Remade::kNothing;
  for (const BlockActivations& a : b.slots) {
    ledger.add("activations: residual stream", {a.h_in, a.h_mid});
    ledger.add("activations: norms", {a.rstd1, a.rstd2});
    if (!shared) ledger.add("activations: norms", {a.x1, a.x2});
    ledger.add("activations: q, k, v", {a.qkv, a.qk_raw, a.rstd_q, a.rstd_k});
    ledger.add("activations: attention", {a.attention, a.lse});
    ledger.add("activations: MLP", {a.gate_up});
    if (!shared) ledger.add("activations: MLP", {a.act});
    ledger.add("activations: adapters", {a.xa_qkv, a.xa_output, a.xa_gate_up, a.xa_down});
  }
  for (const Tensor& t : b.checkpoint_slots) ledger.add("activations: block inputs", {t});
  const BlockScratch& s = b.scratch;
  if (shared) ledger.add("activations made again", {s.x1, s.act});
  // One room for both.
  const Tensor& wider = s.dattention.elements() > s.delta.elements() ? s.dattention : s.delta;
  ledger.add(o.training ? "gradients of activations" : "scratch of blocks",
             {b.dstream, s.dwide, wider, s.branch});
  ledger.add("attention scratch", {s.attention});
  ledger.add("weights expanded", {s.weights.panels[0], s.weights.panels[1]});
  for (const Tensor& t : s.weights.kept) ledger.add("weights kept expanded", {t});
  ledger.add("streamed layers coming in", {s.weights.layers[0], s.weights.layers[1]});
  ledger.add("adapter scratch", {s.linear.lora_scratch, s.linear.dropout_scratch});
  ledger.add("matmul scratch", {s.linear.matmul_scratch, b.head.matmul_scratch});
  const HeadBuffers& h = b.head;
  ledger.add("loss chunk", {h.hidden, h.normed, h.rstd, h.logits, h.dnormed});
  ledger.add("loss rows", {h.losses, b.loss});
  ledger.add("head expanded", {h.panel});
  ledger.add("token ids and labels", {b.batch.room()});
  plan.add("other buffers", arena_bytes - ledger.sum());
}

}  // namespace nibble
