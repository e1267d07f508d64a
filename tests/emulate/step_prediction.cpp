// SPDX-License-Identifier: Apache-2.0
// What nibble-fit's model predicts for the steps that scripts/kernel-report sets beside its aims.
// One JSON object a line: the parts of a step's time in seconds, tokens a second when kernels are
// launched one by one, when a graph replays them, and with a graph when weights are expanded in
// turn with the products, or are kept expanded; or the memory, or the longest sequence.
#include <cmath>
#include <cstdio>

#include "fit/catalogue.h"
#include "fit/choose.h"
#include "fit/infer_cost.h"
#include "fit/question.h"
#include "fit/step_cost.h"

namespace nibble {
namespace {

Question question(const char* model, int64_t rank, int64_t length) {
  Question q;
  for (const KnownModel& known : known_models())
    if (known.name == model) q.config = known.config;
  set_quantized(q.config, "nf4");
  q.lora.rank = rank;
  q.train.batch_size = 1;
  q.train.row_length = q.train.longest = length;
  q.train.device = DeviceKind::kCuda;
  return q;
}

void training(const char* model, const char* gpu, int64_t batch) {
  Question q = question(model, 16, 2048);
  q.train.batch_size = batch;
  const Model shape = prepare(q);
  const StepCost cost = training_cost(shape, q.train);
  Question kept = q;
  kept.train.weights.kept_layers = q.config.layers;
  const StepCost all_kept = training_cost(shape, kept.train);
  Rates eager = find_gpu(gpu_catalogue(""), gpu).rates(), replayed = eager;
  replayed.launch_seconds = 0.0;
  Rates in_turn = replayed;
  in_turn.hides_expansion = false;
  const double tokens = static_cast<double>(q.train.tokens());
  const auto rate = [&](const StepCost& c, const Rates& r) { return tokens / c.seconds(r, 1); };
  Rates best = replayed;
  best.matmul_share = kBestMatmulShare;
  const double memory = eager.memory_bytes * eager.memory_share;
  printf(
      "{\"row\":\"training\",\"model\":\"%s\",\"gpu\":\"%s\",\"batch\":%lld,\"products\":%.6f,"
      "\"expansion\":%.6f,\"rest\":%.6f,\"gaps\":%.6f,\"host\":%.6f,\"eager\":%.0f,"
      "\"replayed\":%.0f,\"in_turn\":%.0f,\"kept\":%.0f,\"best\":%.0f,\"best_kept\":%.0f,"
      "\"attention\":%.6f,\"memory\":%llu}\n",
      model, gpu, static_cast<long long>(batch), cost.product_seconds(eager),
      cost.expand_bytes / memory, (cost.bytes + cost.update_bytes) / memory,
      (cost.launches + cost.update_launches) * eager.gap_seconds,
      (cost.launches + cost.update_launches) * eager.launch_seconds, rate(cost, eager),
      rate(cost, replayed), rate(cost, in_turn), rate(all_kept, replayed), rate(cost, best),
      rate(all_kept, best),
      cost.attention_flops / (eager.matmul_flops * cost.attention_share(eager)),
      static_cast<unsigned long long>(plan(q, shape).total()));
}

// The settings that nibble-train would take, to stay within so many GiB, beside such a host.
void least_memory(const char* model, const char* gpu, double gib, const char* head) {
  Question q = question(model, 16, 2048);
  if (head == std::string("nf4")) q.config.quantization->skip_modules.clear();
  const Rates rates = find_gpu(gpu_catalogue(""), gpu).rates();
  const Model shape = prepare(q);
  const auto limit = static_cast<uint64_t>(gib * (1 << 30));
  choose_memory(q, shape, {.device = limit, .host = uint64_t{32} << 30}, rates);
  const MemoryPlan p = plan(q, shape);
  printf(
      "{\"row\":\"memory\",\"model\":\"%s\",\"gpu\":\"%s\",\"head\":\"%s\",\"limit\":%llu,"
      "\"total\":%llu,"
      "\"host\":%llu,\"options\":\"%s\",\"tokens\":%.0f}\n",
      model, gpu, head, static_cast<unsigned long long>(limit),
      static_cast<unsigned long long>(p.total()), static_cast<unsigned long long>(p.host_total()),
      memory_options(q.train).c_str(),
      static_cast<double>(q.train.tokens()) / training_cost(shape, q.train).seconds(rates, 1));
}

void longest_context(const char* model, const char* gpu) {
  Question q = question(model, 32, 2048);
  q.train.recompute = Recompute::kLayer;
  q.train.optimizer.name = "adamw-8bit";
  q.config.max_position = 1 << 20;
  const uint64_t limit = find_gpu(gpu_catalogue(""), gpu).usable_bytes();
  printf("{\"row\":\"context\",\"model\":\"%s\",\"gpu\":\"%s\",\"limit\":%llu,\"tokens\":%lld}\n",
         model, gpu, static_cast<unsigned long long>(limit),
         static_cast<long long>(
             find_largest(q, Find::kSequence, {.device = limit}, kTypicalGpuRates).value));
}

void decoding(const char* model, const char* gpu) {
  Question q = question(model, 16, 2048);
  q.training = false;
  q.infer = {.batch_size = 1, .context = 2048};
  const Model shape = prepare(q);
  Rates rates = find_gpu(gpu_catalogue(""), gpu).rates();
  const double eager = 1.0 / decoding_seconds(shape, q.infer, DeviceKind::kCuda, rates);
  rates.launch_seconds = 0.0;
  const double replayed = 1.0 / decoding_seconds(shape, q.infer, DeviceKind::kCuda, rates);
  printf(
      "{\"row\":\"decoding\",\"model\":\"%s\",\"gpu\":\"%s\",\"eager\":%.0f,\"replayed\":%.0f}\n",
      model, gpu, eager, replayed);
}

}  // namespace
}  // namespace nibble

int main() {
  using namespace nibble;
  for (const char* gpu : {"H200", "H100 SXM", "A100 80GB", "RTX 4090", "B200"})
    for (const char* model : {"Qwen3-8B", "Qwen3-0.6B"})
      for (const int64_t batch : {1, 8}) training(model, gpu, batch);
  for (const double gib : {5.5, 4.5})
    for (const char* head : {"bf16", "nf4"}) least_memory("Qwen3-8B", "H200", gib, head);
  longest_context("Llama-3.1-8B", "RTX 4090");
  for (const char* gpu : {"H200", "H100 SXM", "RTX 4090"}) decoding("Qwen3-8B", gpu);
}
