// SPDX-License-Identifier: Apache-2.0
#include "fit/infer_cost.h"

#include <algorithm>
#include <cmath>

namespace nibble {
namespace {

// A processor's attention over kept keys and values runs at that share of its products with
// vectors.
constexpr double kAttentionShare = 0.14;

// What a GPU's mat-vec of 4-bit codes (kernels/cuda/matvec.h) issues for a weight, counted in the
// inner loop of its sm_90 code: 389 instructions for 128 weights and one vector, 989 for 64 weights
// and eight. And what it reads of shared memory, in words: 148 for 128 weights; that gives a thread
// a word in the time of four instructions.
constexpr double kWeightInstructions = 389.0 / 128.0;
constexpr double kVectorInstructions = (989.0 / 64.0 - kWeightInstructions) / 7.0;
constexpr double kSharedWords = 148.0 / 128.0, kWordInstructions = 4.0;

// Reading and computing overlap in part: measured, half of the lesser hides behind the greater.
double together(double reading, double computing) {
  return std::max(reading, computing) + 0.5 * std::min(reading, computing);
}

double real(int64_t n) {
  return static_cast<double>(n);
}

// Weights of one kind of storage: how many numbers, in how many bytes.
struct Weights {
  double numbers = 0.0, bytes = 0.0;
};

struct Counts {
  Weights quantized, dense;  // the blocks'
  Weights head;
  double adapters = 0.0;  // numbers
};

Weights weights_of(const Projection& p) {
  const double n = real(p.out_features) * real(p.in_features);
  if (!p.quantized) return {n, n * static_cast<double>(dtype_bytes(p.weight.dtype))};
  const bool whole_bytes = p.quantized->type == QuantType::kInt8;
  return {n, n * (whole_bytes ? 1.0 : 0.5 + 1.0 / real(p.quantized->block))};
}

Counts count(const Model& model) {
  Counts out;
  for (const Projection* p : model.projections()) {
    const Weights w = weights_of(*p);
    Weights& sum = p->quantized ? out.quantized : out.dense;
    sum.numbers += w.numbers;
    sum.bytes += w.bytes;
    for (const int index : {p->lora_a, p->lora_b})
      if (index >= 0)
        out.adapters += real(model.parameters.all()[static_cast<size_t>(index)].count);
  }
  out.head = weights_of(model.head);
  return out;
}

double element(const GeneratorSizes& s) {
  return static_cast<double>(dtype_bytes(s.compute));
}

// Of a weight in 4 bits that is multiplied straight from the codes, at the time of so many
// instructions.
double instructions_of(double vectors) {
  return std::max(kWeightInstructions + (vectors - 1.0) * kVectorInstructions,
                  kSharedWords * kWordInstructions);
}

// What products read.
Dtype panel_of(const GeneratorSizes& s, DeviceKind device) {
  return device == DeviceKind::kCuda ? Dtype::kBf16 : panel_dtype(s.compute);
}

// Positions that a token sees, on average over the layers.
double seen(const ModelConfig& c, int64_t context) {
  double sum = 0.0;
  for (int64_t l = 0; l < c.layers; ++l) {
    const int64_t window = c.window_of(l);
    sum += real(window > 0 ? std::min(window, context) : context);
  }
  return sum / real(c.layers);
}

}  // namespace

double decoding_seconds(const Model& model, const GeneratorSizes& s, DeviceKind device,
                        const Rates& rates) {
  const ModelConfig& c = model.config;
  const Counts n = count(model);
  const double b = real(s.batch_size), positions = b * seen(c, s.context) * real(c.layers);
  const double memory = rates.memory_bytes * rates.memory_share;
  const double cache = 2.0 * positions * real(c.kv_heads * c.head_dim) * element(s) / memory;
  const double dense_numbers = n.dense.numbers + n.head.numbers + n.adapters;
  const double dense_bytes = n.dense.bytes + n.head.bytes + n.adapters * element(s);
  const bool measured = device == DeviceKind::kCpu && rates.vector_flops > 0;
  const double attention = measured ? 4.0 * positions * real(c.heads * c.head_dim) /
                                          (kAttentionShare * rates.vector_flops)
                                    : 0.0;
  if (measured && reads_few_rows(s.batch_size)) {
    const double product = 2.0 * b / rates.vector_flops;  // for a number
    return together(n.quantized.bytes / memory,
                    n.quantized.numbers * (1.0 / rates.expanded_weights + product)) +
           together(dense_bytes / memory, dense_numbers * product) + cache + attention;
  }
  const double panel = static_cast<double>(dtype_bytes(panel_of(s, device)));
  double expanded = reads_few_rows(s.batch_size) ? 0.0 : n.quantized.numbers;
  if (panel > 2.0 && !reads_few_rows(s.batch_size)) expanded += dense_numbers;
  const double launches = real(c.layers) * kDecodeLaunches;
  const double issuing = rates.instructions > 0 && reads_few_rows(s.batch_size)
                             ? n.quantized.numbers * instructions_of(b) / rates.instructions
                             : 0.0;
  const double computed =
      std::max(n.quantized.bytes / memory, issuing) +
      (dense_bytes + 2.0 * panel * expanded) / memory + cache + attention +
      2.0 * b * (n.quantized.numbers + dense_numbers) / (rates.matmul_flops * rates.matmul_share);
  return std::max(computed + launches * rates.gap_seconds, launches * rates.launch_seconds);
}

double prompt_token_seconds(const Model& model, const GeneratorSizes& s, DeviceKind device,
                            const Rates& rates) {
  const ModelConfig& c = model.config;
  const Counts n = count(model);
  const double memory = rates.memory_bytes * rates.memory_share;
  const double matmul = rates.matmul_flops * rates.matmul_share;
  const double weights = n.quantized.numbers + n.dense.numbers;
  // A token sees half of the context on average, in two products.
  const double flops = 2.0 * (weights + n.adapters) +
                       2.0 * seen(c, s.context) * real(c.heads * c.head_dim) * real(c.layers);
  const double expanded =
      2.0 * static_cast<double>(dtype_bytes(panel_of(s, device))) * n.quantized.numbers;
  const double stream = element(s) * real(c.layers) *
                        (8.0 * real(c.hidden_size) + 3.0 * real(c.qkv_width()) +
                         real(c.heads * c.head_dim) + 3.0 * real(c.intermediate_size));
  const double at_once = real(std::max(kPromptTokens, s.context));
  return flops / matmul + stream / memory +
         (n.quantized.bytes + n.dense.bytes + expanded) / at_once / memory;
}

std::vector<std::string> generation_assumptions(const Rates& rates) {
  const auto percent = [](double share) { return std::lround(100.0 * share); };
  std::vector<std::string> all = {
      cat("products run at ", percent(rates.matmul_share),
          "% of the matmul rate, memory is read at ", percent(rates.memory_share),
          "% of its bandwidth"),
      "prompts fill the context; decoding is at its end, with no sequence done before the others"};
  if (rates.instructions > 0)
    all.push_back(cat(
        "weights multiplied straight from 4-bit codes are read no faster than instructions are ",
        "issued, at the time of ", std::lround(10.0 * instructions_of(1.0)) / 10.0,
        " a weight of one sequence"));
  return all;
}

}  // namespace nibble
