// SPDX-License-Identifier: Apache-2.0
// The weights of a model folder as rows of floats, dense or quantised by bitsandbytes: what export
// and statistics read.
#pragma once

#include "io/safetensors.h"
#include "model/config.h"
#include "model/float_rows.h"
#include "quant/storage.h"

namespace nibble {

/// Checks the tensor (DataError naming it) and gives its rows; a vector is one row. Quantised
/// weights are rounded to `config.dtype`, as transformers dequantises them. Store and tables must
/// outlive the rows.
FloatRows stored_weight(const TensorStore& store, const WeightSpec& spec, const ModelConfig& config,
                        QuantizedTables& tables);

/// A tensor of floats by itself: rank 1 is one row, higher ranks have rows of the last dimension.
/// UnavailableError where its type is none of F32, F16, BF16.
FloatRows dense_rows(const StoredTensor& tensor);

/// The weight that a companion of quantisation belongs to: "x.weight.absmax", "x.SCB" and
/// "x.weight_format" belong to "x.weight".
std::string quantized_owner(const std::string& companion);

/// Why a tensor has no part in a model although it is stored: rotary frequencies, a tied head.
bool is_ignorable_tensor(const std::string& name, const ModelConfig& config);

}  // namespace nibble
