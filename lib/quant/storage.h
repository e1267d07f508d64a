// SPDX-License-Identifier: Apache-2.0
// Quantised weights in a folder, under bitsandbytes' names. 4 bits, for a weight "W.weight" (O,I):
//   W.weight                 U8 (ceil(O*I/2), 1)   codes, first in the high nibble
//   W.weight.absmax          F32 (blocks), or U8 when nested
//   W.weight.quant_map       F32 (16)
//   W.weight.nested_absmax   F32 (ceil(blocks/256)), W.weight.nested_quant_map F32 (256): nested
//   W.weight.quant_state.bitsandbytes__nf4 (or __fp4)  U8: JSON with quant_type, blocksize, dtype,
//                            shape, and nested_blocksize, nested_dtype, nested_offset when nested
// INT8: W.weight I8 (O,I), W.SCB F32 (O), W.weight_format U8 scalar.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "io/safetensors.h"
#include "kernels/dequantize.h"

namespace nibble {

/// Copies of small tables whose bytes in the file are not aligned for their type.
class QuantizedTables {
 public:
  const float* floats(const StoredTensor& tensor);

 private:
  std::deque<std::vector<float>> copies_;
};

/// Whether the store holds the weight quantised.
bool is_quantized(const TensorStore& store, const std::string& weight_name);

/// A view of the quantised weight `weight_name` of shape (O,I). Every size is checked, so that no
/// op reads outside. Throws DataError naming the tensor.
QuantizedMatrix load_quantized(const TensorStore& store, const std::string& weight_name,
                               int64_t out, int64_t in, QuantizedTables& tables);

/// Whether a stored tensor is a companion of a quantised weight (its absmax, maps, state or SCB).
bool is_quantization_companion(const std::string& tensor_name);

}  // namespace nibble
