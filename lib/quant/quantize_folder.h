// SPDX-License-Identifier: Apache-2.0
// A folder of dense weights made a folder of quantised ones that transformers and bitsandbytes load
// as it stands. What stays dense is written in the type that config.json names: transformers casts
// a dense model's tensors to it, but not those of a quantised one, whose types must therefore be
// alike. Tensors stream: the memory taken is a few tensors', whatever the model's size.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "io/safetensors.h"
#include "quant/quantize.h"

namespace nibble {

/// Whether transformers would leave the module dense for that llm_int8_skip_modules: an entry is
/// its name, the start of it up to a dot, or the end of it.
bool is_skipped(std::string_view module, const std::vector<std::string>& skip);

struct QuantizeFolder {
  fs::path source;  // holds config.json and safetensors
  fs::path folder;  // where to write, an AtomicFolder's working()
  QuantizeOptions options;
  std::vector<std::string> skip;  // what llm_int8_skip_modules will say
  /// Whether a tensor is a linear layer's weight that is to be quantised.
  std::function<bool(const std::string& name)> selects;
  size_t max_shard_bytes = 5'000'000'000;
  Device device;  // what quantises
  std::function<void(size_t done, size_t total, const std::string& name)> progress;
  /// Called for each quantised weight, where wanted: it costs reading the weight again.
  std::function<void(const std::string& name, const QuantizationError& error)> report;
};

struct QuantizeFolderReport {
  size_t quantized = 0, dense = 0;  // tensors
  uint64_t bytes_before = 0, bytes_after = 0;
  uint64_t device_bytes = 0;  // of its memory, where one quantised
};

/// Writes config.json and the weights. Throws DataError naming the tensor: NaN or infinite weights,
/// a selected tensor that is no matrix of F32, F16 or BF16, a value that the model's type cannot
/// hold, a model that is quantised already, or nothing selected.
QuantizeFolderReport quantize_folder(const QuantizeFolder& job);

}  // namespace nibble
