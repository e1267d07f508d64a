// SPDX-License-Identifier: Apache-2.0
#include "fit/step_cost.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/checked.h"
#include "fit/weight_bytes.h"
#include "kernels/adapter.h"
#include "model/head.h"

namespace nibble {
namespace {

double real(int64_t n) {
  return static_cast<double>(n);
}

/// The linear layers of the blocks.
struct Linears {
  double weights = 0.0;   // numbers
  double mlp = 0.0;       // of these, the MLPs'
  double down = 0.0;      // of the MLPs', their outputs'
  double expanded = 0.0;  // of these, those that a product cannot read as they are stored
  double stored = 0.0;    // bytes
  double adapters = 0.0;  // numbers of A and B
  double trained = 0.0;   // numbers of weights trained in full
  // Of adapters woven into the weights (weight_pieces.h): zeros beside B, bytes moved to weave B
  // and A.
  double woven_zeros = 0.0, weave_b = 0.0, weave_a = 0.0;
  // What the last steps of longer sums multiply for nothing, forward and backward (kProductStep).
  double idle_forward = 0.0, idle_backward = 0.0;
};

// In which passes a group's adapters ride in the products of its weights, on a GPU.
Weaves weaves_of(const LinearGroup& g, const StepOptions& o) {
  return weavable(g) ? weaves(block_sizes(o), {DeviceKind::kCuda, 0}) : Weaves::kNothing;
}

int64_t idle_steps(int64_t sums) {
  return round_up(sums, kProductStep) - sums;
}

void count_woven(Linears& out, const LinearGroup& g, const ParameterSet& parameters, double element,
                 Dtype compute, Weaves weaves) {
  const auto numbers = [&](int index) {
    return index < 0 ? 0.0 : real(parameters.all()[static_cast<size_t>(index)].count);
  };
  const double tail = real(g.lora_width(parameters)) * real(g.out_features());
  double a = 0.0, b = 0.0;
  for (const Projection& p : g.parts) {
    a += numbers(p.lora_a);
    b += numbers(p.lora_b);
  }
  out.woven_zeros += tail - b;
  out.weave_b += sizeof(float) * b + element * tail;
  const int64_t ranks = g.lora_width(parameters), in = g.in_features();
  out.idle_forward += real(idle_steps(in + ranks) * g.out_features());
  if (weaves != Weaves::kBoth) return;
  out.weave_a += (sizeof(float) + element) * a;
  // All A lie under the last piece.
  const int64_t piece = linear_panel_elements(g, compute, {DeviceKind::kCuda, 0}) / in;
  const int64_t last = (g.out_features() - 1) % piece + 1;
  out.idle_backward += real(idle_steps(last + ranks) * in);
}

Linears count(const Model& model, Dtype panel, bool cuda, const StepOptions& o) {
  Linears out;
  const auto add = [&](const Projection* p, double Linears::*const more) {
    const double n = real(p->out_features) * real(p->in_features);
    out.weights += n;
    if (more) out.*more += n;
    if (p->weight_parameter >= 0) {
      out.trained += n;
      out.stored += 2.0 * n;
    } else if (p->quantized) {
      const bool bytes = p->quantized->type == QuantType::kInt8;
      out.stored += n * (bytes ? 1.0 : 0.5 + 1.0 / real(p->quantized->block));
      out.expanded += n;
    } else {
      out.stored += n * static_cast<double>(dtype_bytes(p->weight.dtype));
      if (p->weight.dtype != panel) out.expanded += n;
    }
    for (const int index : {p->lora_a, p->lora_b})
      if (index >= 0)
        out.adapters += real(model.parameters.all()[static_cast<size_t>(index)].count);
  };
  for (const Block& b : model.blocks) {
    for (const LinearGroup* g : {&b.qkv, &b.output})
      for (const Projection& p : g->parts) add(&p, nullptr);
    for (const Projection& p : b.gate_up.parts) add(&p, &Linears::mlp);
    for (const Projection& p : b.down.parts) add(&p, &Linears::down);
    for (const LinearGroup* g : b.groups())
      if (const Weaves w = weaves_of(*g, o); cuda && w != Weaves::kNothing)
        count_woven(out, *g, model.parameters, static_cast<double>(dtype_bytes(panel)), o.compute,
                    w);
  }
  out.mlp += out.down;
  return out;
}

// Elements a token and block that are read and written outside the products, forward: the norms
// (in, delta, sum, out), rotation, attention's own, and SwiGLU.
double elementwise(const ModelConfig& c) {
  const double q = real(c.heads * c.head_dim), w = real(c.qkv_width());
  return 2.0 * 4.0 * real(c.hidden_size) + 2.0 * w + w + q + 3.0 * real(c.intermediate_size);
}

// What a GPU does for a block beside multiplying by its weights: elements of a token that are read
// or written outside those products, and kernels, products among them, one after another. Each
// kernel as it is written; nothing is assumed to be found in a cache.
struct DevicePass {
  double elements = 0.0, launches = 0.0;
};
struct DevicePasses {
  DevicePass forward, backward;
};

// Elements of a token that the adapters' backward moves of dY, or beside it: dB and dY B read dY
// together, and leave sums to add up, or each reads it.
double adapter_backward_elements(const LinearGroup& g, const Model& model, Dtype compute,
                                 int64_t tokens) {
  const double out = real(g.out_features());
  std::vector<AdapterPart> parts;
  for (const Projection& p : g.parts)
    if (p.lora_b >= 0) {
      const auto& shape = model.parameters.all()[static_cast<size_t>(p.lora_b)].shape;
      parts.push_back({.b = make_tensor(nullptr, compute, {shape[0], shape[1]})});
    }
  const AdapterShares s = adapter_shares(parts, tokens);
  if (compute != Dtype::kBf16 || s.rows == 0) return 2.0 * out;
  const double sums = real(s.inner * s.rows + s.outer * s.shares);  // written, and read
  return out +
         2.0 * sums / real(s.rows) * static_cast<double>(sizeof(float) / dtype_bytes(compute));
}

DevicePasses device_passes(const Model& model, const StepOptions& o) {
  const ModelConfig& c = model.config;
  const Dtype compute = o.compute;
  const double hidden = real(c.hidden_size), f = real(c.intermediate_size);
  const double q = real(c.heads * c.head_dim), k = real(c.kv_heads * c.head_dim);
  const double w = real(c.qkv_width());
  const double turned = (c.qk_norm ? 3.0 : 2.0) * (q + k);
  DevicePasses p;
  // Two norms (in, delta, sum, out; four of backward too), heads, attention, SwiGLU.
  p.forward = {2.0 * 4.0 * hidden + turned + (w + q) + 3.0 * f, 2.0 + 1.0 + 1.0 + 1.0};
  // Attention's backward: delta, then two kernels that read all and write the gradient's parts.
  p.backward = {2.0 * 4.0 * hidden + turned + (2.0 * q + 2.0 * (w + q) + w) + 5.0 * f,
                2.0 + 1.0 + 3.0 + 1.0};
  for (const LinearGroup* g : model.blocks.front().groups()) {
    const Device device{DeviceKind::kCuda, 0};
    const int64_t all = g->out_features() * g->in_features();
    const int64_t panel = linear_panel_elements(*g, compute, device);
    const double pieces = panel > 0 ? real(ceil_div(all, panel)) : 1.0;
    p.forward.launches += pieces;
    p.backward.launches += pieces;
    if (!g->adapted()) continue;
    const double in = real(g->in_features()), out = real(g->out_features());
    // With dropout each part has what is left of X, written and read, for X A^T and again for dA.
    const bool drops = o.dropout > 0.0f;
    const double parts = static_cast<double>(std::count_if(
        g->parts.begin(), g->parts.end(), [](const auto& layer) { return layer.lora_a >= 0; }));
    const DevicePass inputs =
        drops ? DevicePass{3.0 * in * parts, 2.0 * parts} : DevicePass{in, 1.0};
    // X A^T, and, unless B is woven into the weights, its product with B, which the weights' is
    // added to.
    const Weaves woven = weaves_of(*g, o);
    p.forward.elements += inputs.elements + (woven == Weaves::kNothing ? out : 0.0);
    p.forward.launches += inputs.launches + (woven == Weaves::kNothing ? 1.0 : 0.0);
    // dB and dX A, in two kernels, and dA; unless A is woven into the weights, dX starts as the
    // adapters' share, or with dropout what is left of that is added to it.
    p.backward.elements += adapter_backward_elements(*g, model, compute, o.tokens) +
                           inputs.elements +
                           (drops                    ? 2.0 * in
                            : woven == Weaves::kBoth ? 0.0
                                                     : in);
    p.backward.launches += 2.0 + inputs.launches + (woven == Weaves::kBoth ? 0.0 : 1.0);
  }
  return p;
}

// Of a forward pass through `all` numbers of weights, `mlp` of them in MLPs and `down` in their
// outputs, how many are gone through again. The output of a segment's last block never is; with
// every layer made again, the rest of its MLP always is.
double made_again(Recompute recompute, int64_t layers, double all, double mlp, double down) {
  const double n = real(layers);
  if (recompute == Recompute::kLayer) return (n - 1.0) / n * (all - mlp) + (mlp - down);
  if (recompute == Recompute::kSqrt) {
    const double segment = std::ceil(std::sqrt(n)), segments = std::floor((n - 1.0) / segment);
    return segments / n * (segment * all - down);
  }
  return 0.0;
}

}  // namespace

namespace {
// So many operations, of them those of attention, which reach `share`.
double seconds_of(const Rates& r, double flops, double attention, double share) {
  return ((flops - attention) / r.matmul_share + attention / share) / r.matmul_flops;
}
}  // namespace

double StepCost::attention_share(const Rates& r) const {
  if (wgmma_heads && r.wgmma_share > 0.0) return r.wgmma_share;
  return r.attention_share > 0.0 ? r.attention_share : r.matmul_share;
}

double StepCost::product_seconds(const Rates& r) const {
  return seconds_of(r, flops + recompute_flops, attention_flops + recompute_attention_flops,
                    attention_share(r));
}

double StepCost::seconds(const Rates& r, int64_t micro_batches) const {
  const double memory = r.memory_bytes * r.memory_share;
  const double products = product_seconds(r), expansion = expand_bytes / memory;
  const double computed = r.hides_expansion ? std::max(products, expansion) : products + expansion;
  const double micro_batch =
      computed + (bytes + recompute_bytes) / memory + launches * r.gap_seconds;
  // Copies go beside the work; it waits for what they take longer. Forward is a third of what
  // nothing is made again in.
  const double forward =
      (seconds_of(r, flops, attention_flops, attention_share(r)) + bytes / memory) / 3.0;
  const double waits = std::max(0.0, forward_copies / r.host_bytes - forward) +
                       std::max(0.0, backward_copies / r.host_bytes - (micro_batch - forward));
  const double device = real(micro_batches) * (micro_batch + waits) +
                        std::max(update_bytes / memory, update_copies / r.host_bytes) +
                        update_launches * r.gap_seconds;
  const double host = (real(micro_batches) * launches + update_launches) * r.launch_seconds;
  return std::max(device, host);
}

StepLaunches step_launches(const ModelConfig& c, const StepOptions& o) {
  const double down = real(c.hidden_size) * real(c.intermediate_size), mlp = 3.0 * down;
  const double all = real(c.hidden_size) * real(c.qkv_width() + c.heads * c.head_dim) + mlp;
  // A block made again is all but its last product, but for the top one's attention.
  const double again = o.recompute == Recompute::kLayer
                           ? real(c.layers - 1) / real(c.layers)
                           : made_again(o.recompute, c.layers, all, mlp, down) / all;
  const int64_t chunk = head_chunk_rows(c, o.labelled, {DeviceKind::kCuda, 0});
  const bool drops = o.dropout > 0.0f;
  const double forward = kForwardLaunches + (drops ? kDropoutForwardLaunches : 0.0);
  const double backward = kBackwardLaunches + (drops ? kDropoutBackwardLaunches : 0.0);
  return {real(c.layers) * ((1.0 + again) * forward + backward),
          kLossChunkLaunches * real(ceil_div(o.labelled, chunk))};
}

StepCost training_cost(const Model& model, const TrainJob& job) {
  const ModelConfig& c = model.config;
  const StepOptions o = job.step_options();
  const bool cuda = job.device == DeviceKind::kCuda;
  const Dtype panel = cuda ? Dtype::kBf16 : panel_dtype(o.compute);
  const Linears linear = count(model, panel, cuda, o);
  const double n = real(o.tokens), element = static_cast<double>(dtype_bytes(o.compute));
  const double panel_bytes = static_cast<double>(dtype_bytes(panel));
  const double window = c.window > 0 ? std::min(real(c.window), real(o.longest)) : real(o.longest);

  const double attention = 2.0 * n * window * real(c.heads * c.head_dim) * real(c.layers);
  const double layers_forward =
      2.0 * n * (linear.weights + linear.adapters + linear.woven_zeros + linear.idle_forward);
  const double head = 2.0 * n * real(c.vocab_size) * real(c.hidden_size);
  const bool head_trained = model.head.weight_parameter >= 0;
  StepCost cost;
  // Forward attention is two products; backward five, on a GPU seven: both its sweeps make scores
  // and their gradients again.
  cost.attention_flops = attention + (cuda ? 3.5 : 2.5) * attention;
  cost.wgmma_heads = cuda && o.compute == Dtype::kBf16 && (c.head_dim == 64 || c.head_dim == 128);
  cost.flops =
      layers_forward +
      2.0 * n * (linear.weights + linear.trained + 2.0 * linear.adapters + linear.idle_backward) +
      cost.attention_flops + (head_trained ? 3.0 : 2.0) * head;

  // Each pass reads the weights as they are stored, and writes and reads what it expands of them;
  // of layers that are kept expanded it reads that alone. On a GPU a product's own reading is part
  // of its time.
  const double kept = real(o.weights.kept_layers) / real(c.layers);
  const double expanding = cuda && linear.expanded > 0
                               ? (1.0 - kept) * (linear.stored + panel_bytes * linear.expanded)
                               : 0.0;
  const double weights =
      cuda ? 0.0 : (1.0 - kept) * linear.stored + (2.0 - kept) * panel_bytes * linear.expanded;
  const DevicePasses passes = cuda ? device_passes(model, o) : DevicePasses{};
  const double token_bytes = n * element * real(c.layers);
  const double stream = token_bytes * (cuda ? passes.forward.elements : elementwise(c));
  const double back = cuda ? token_bytes * passes.backward.elements : 2.0 * stream;
  const double logits = 4.0 * n * real(c.vocab_size) * panel_bytes;
  cost.bytes = 2.0 * weights + stream + back + logits;

  const double again =
      made_again(o.recompute, c.layers, linear.weights, linear.mlp, linear.down) / linear.weights;
  // Adapters are woven into what is kept once a micro-batch, into panels behind their expansion.
  cost.expand_bytes =
      (2.0 + again) * expanding + (1.0 + (1.0 - kept) * again) * linear.weave_b + linear.weave_a;
  if (cuda) {
    const double forward_launches = passes.forward.launches;
    cost.block_launches = forward_launches + passes.backward.launches;
    cost.launches = real(c.layers) * (again * forward_launches + cost.block_launches) +
                    step_launches(c, o).loss;
    cost.update_launches = kUpdateLaunches;
  }
  cost.recompute_attention_flops = made_again(o.recompute, c.layers, attention, 0.0, 0.0);
  cost.recompute_flops = again * layers_forward + cost.recompute_attention_flops;
  cost.recompute_bytes = again * (weights + stream);
  if (o.recompute == Recompute::kNorm)
    cost.recompute_bytes = n * element * real(c.layers) *
                           (4.0 * real(c.hidden_size) + 3.0 * real(c.intermediate_size));

  // Values and state are read and written, gradients too (added to, cleared), the copy written.
  const double trained = real(model.parameters.extent());
  const double state = job.optimizer.name == "adamw"        ? 16.0
                       : job.optimizer.name == "adamw-8bit" ? 4.0
                       : job.optimizer.momentum > 0         ? 8.0
                                                            : 0.0;
  if (cuda && job.optimizer.paged) cost.update_copies = trained * state / 2.0;
  if (cuda) {
    double offload = 0.0;
    if (job.offload) {
      Arena arena({job.device, 0});
      const StepBuffers b = take_step_buffers(arena, model, o);
      offload = static_cast<double>(Offload::host_bytes(b.offloaded, b.offload_bytes));
    }
    // Streamed layers come in for each pass, once more where segments of them are made again.
    const double streamed = linear.stored * real(o.weights.streamed_layers) / real(c.layers);
    const double rows = o.weights.host_embedding ? n * element * real(c.hidden_size) : 0.0;
    cost.forward_copies = std::max(offload, streamed + rows);
    cost.backward_copies = offload + (o.recompute == Recompute::kSqrt ? 2.0 : 1.0) * streamed;
  }
  cost.update_bytes = trained * (8.0 + 8.0 + state + element);
  return cost;
}

std::vector<std::string> cost_assumptions(const Rates& rates, const StepCost& cost) {
  const auto percent = [](double share) { return std::lround(100.0 * share); };
  const auto micro = [](double seconds) { return std::lround(1e7 * seconds) / 10.0; };
  std::vector<std::string> out = {
      cat("products run at ", percent(rates.matmul_share), "% of the matmul rate, ",
          rates.attention_share > 0.0
              ? cat("attention's at ", percent(cost.attention_share(rates)), "%, ")
              : "",
          "all else at ", percent(rates.memory_share),
          "% of the memory bandwidth, one after the other",
          rates.hides_expansion ? "; weights are expanded behind the products" : ""),
      "every row is full, every token trained on, weights read once a pass"};
  if (rates.launch_seconds > 0)
    out.push_back(cat("the host launches a kernel in ", micro(rates.launch_seconds),
                      " us, the device begins the next ", micro(rates.gap_seconds),
                      " us after the last; ", cost.block_launches,
                      " kernels a block and micro-batch"));
  if (cost.forward_copies + cost.update_copies > 0)
    out.push_back(cat("copies to and from the host's memory run beside the work, at ",
                      std::lround(rates.host_bytes / 1e9), " GB/s"));
  return out;
}

}  // namespace nibble
