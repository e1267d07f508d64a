// SPDX-License-Identifier: Apache-2.0
// Quantised weights in a folder, under bitsandbytes' names. 4 bits, for a weight "W.weight" (O,I):
//   W.weight                 U8 (ceil(O*I/2), 1)   codes, first in the high nibble
//   W.weight.absmax          F32 (blocks), or U8 when nested
//   W.weight.quant_map       F32 (16)
//   W.weight.nested_absmax   F32 (ceil(blocks/256)), W.weight.nested_quant_map F32 (256): nested
//   W.weight.quant_state.bitsandbytes__nf4 (or __fp4)  U8: JSON with quant_type, blocksize, dtype,
//                            shape, and nested_blocksize, nested_dtype, nested_offset when nested
// INT8: W.weight I8 (O,I), W.SCB F32 (O), W.weight_format U8 scalar (0: row-major).
// Where bnb_4bit_quant_storage was another type, the codes' bytes are stored as that.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "io/json.h"
#include "io/safetensors.h"
#include "kernels/dequantize.h"
#include "quant/quantize.h"

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
/// op reads outside; scales are finite, code books those of their type (bitsandbytes looks codes up
/// in its own and ignores the file's). Throws DataError naming the tensor.
QuantizedMatrix load_quantized(const TensorStore& store, const std::string& weight_name,
                               int64_t out, int64_t in, QuantizedTables& tables);

/// Whether a stored tensor is a companion of a quantised weight (its absmax, maps, state or SCB).
bool is_quantization_companion(const std::string& tensor_name);

/// The tensors that a weight (O,I) of `dtype` becomes, in the order write_quantized writes them. A
/// group's tables are aligned where what lies before it is, and so is what follows it, unless
/// the number of codes is odd in places. INT8: all but the weight_format.
std::vector<TensorInfo> quantized_tensors(const std::string& weight_name, int64_t out, int64_t in,
                                          Dtype dtype, const QuantizeOptions& options);
void write_quantized(TensorWriter& writer, const std::string& weight_name,
                     const QuantizedTensor& tensor);
/// What comes after the codes, where these are written already.
void write_quantized_scales(TensorWriter& writer, const QuantizedTensor& tensor);

/// INT8: one byte each, to be written after all else, since nothing behind it is aligned.
TensorInfo weight_format_tensor(const std::string& weight_name);
void write_weight_format(TensorWriter& writer);

/// config.json's quantization_config, as transformers 5.23 writes it.
Json quantization_config(const QuantizeOptions& options, const std::vector<std::string>& skip);

}  // namespace nibble
