// SPDX-License-Identifier: Apache-2.0
// A new model: config.json of a chosen shape, random weights as transformers initialises them
// (linear layers and embedding normal with the configuration's initializer_range, biases zero,
// norms one), and a tokenizer, trained or copied. The draws depend on seed and names alone.
#pragma once

#include <optional>
#include <string>

#include "model/config.h"

namespace nibble {

struct ModelShape {
  std::string family = "llama";  // model_type
  int64_t layers = 4;
  int64_t hidden_size = 256;
  int64_t heads = 4;
  std::optional<int64_t> kv_heads;           // else heads
  std::optional<int64_t> head_dim;           // else hidden_size / heads
  std::optional<int64_t> intermediate_size;  // else 8/3 of hidden_size, rounded up to 64
  int64_t vocab_size = 0;
  int64_t max_position = 2048;
  double rope_theta = 10000.0;
  bool tied = false;
};

/// The configuration as transformers 4 and 5 read it. Throws UsageError where the shape is none.
Json shape_config(const ModelShape& shape);

/// Writes config.json, generation_config.json and model.safetensors. `config` is a whole
/// configuration; its dtype is set. Throws as parse_model_config does, `place` naming it.
ModelConfig write_initial_model(const fs::path& folder, Json config, const std::string& place,
                                Dtype dtype, uint64_t seed);

}  // namespace nibble
