// SPDX-License-Identifier: Apache-2.0
#include "fit/weight_bytes.h"

#include <cstdio>

#include "quant/quantize_folder.h"
#include "quant/storage.h"

namespace nibble {
namespace {

constexpr double kMostParameters = 1e13;

std::string module_of(const std::string& weight) {
  return weight.substr(0, weight.rfind('.'));
}

}  // namespace

uint64_t weight_bytes(const ModelConfig& config) {
  uint64_t sum = 0;
  for (const WeightSpec& w : model_weights(config)) {
    const auto& q = config.quantization;
    if (q && w.linear && !is_skipped(module_of(w.name), q->skip_modules)) {
      const QuantizeOptions options{q->type, q->block, q->double_quant};
      for (const TensorInfo& t :
           quantized_tensors(w.name, w.shape[0], w.shape[1], config.dtype, options))
        sum += t.bytes;
    } else {
      sum += tensor_info(w.name, config.dtype, w.shape).bytes;
    }
  }
  return sum;
}

int64_t parameter_count(const ModelConfig& config) {
  int64_t sum = 0;
  for (const WeightSpec& w : model_weights(config)) {
    int64_t product = 1;
    for (const int64_t d : w.shape) product *= d;
    sum += product;
  }
  return sum;
}

void check_countable(const ModelConfig& c, const std::string& place) {
  const auto real = [](int64_t n) { return static_cast<double>(n); };
  const double block = real(c.hidden_size) * real(c.qkv_width()) +
                       real(c.hidden_size) * real(c.heads) * real(c.head_dim) +
                       3.0 * real(c.hidden_size) * real(c.intermediate_size);
  const double all = real(c.layers) * block + 2.0 * real(c.vocab_size) * real(c.hidden_size);
  if (all <= kMostParameters) return;
  char text[32];
  std::snprintf(text, sizeof text, "%.2g", all);
  throw DataError(cat(place, ": ", text, " parameters, more than any machine holds (1e13); are ",
                      "its sizes right?"));
}

}  // namespace nibble
