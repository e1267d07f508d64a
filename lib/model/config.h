// SPDX-License-Identifier: Apache-2.0
// What config.json says of a model, for every family that nibble knows: LLaMA 1 to 3.2 (TinyLlama,
// SmolLM2), Mistral, Qwen2/2.5, Qwen3. Both spellings of transformers 4 and 5 are read
// (torch_dtype / dtype, rope_theta + rope_scaling / rope_parameters). Whatever is not understood
// and would change the result is refused by name, never guessed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "io/json.h"
#include "kernels/dequantize.h"
#include "tensor/dtype.h"

namespace nibble {

enum class RopeScaling : uint8_t { kNone, kLinear, kLlama3 };

struct RopeConfig {
  double theta = 10000.0;
  RopeScaling scaling = RopeScaling::kNone;
  double factor = 1.0;
  double low_freq_factor = 1.0, high_freq_factor = 4.0;  // llama3
  int64_t original_max_position = 8192;                  // llama3
};

/// bitsandbytes' quantization_config of a folder.
struct QuantizationConfig {
  QuantType type = QuantType::kNf4;
  int64_t block = 64;
  bool double_quant = true;
  Dtype compute_dtype = Dtype::kBf16;
  std::vector<std::string> skip_modules = {"lm_head"};
};

struct ModelConfig {
  std::string family;             // model_type: "llama", "mistral", "qwen2", "qwen3"
  std::string architecture;       // "LlamaForCausalLM"
  int64_t vocab_size = 0;         // V
  int64_t hidden_size = 0;        // C
  int64_t layers = 0;             // L
  int64_t heads = 0;              // H
  int64_t kv_heads = 0;           // K
  int64_t head_dim = 0;           // D
  int64_t intermediate_size = 0;  // F
  int64_t max_position = 0;
  double norm_eps = 1e-6;
  RopeConfig rope;
  bool tied_embeddings = false;
  bool qkv_bias = false, output_bias = false, mlp_bias = false;
  bool qk_norm = false;
  int64_t window = 0;                 // sliding window, 0: none
  std::vector<int64_t> layer_window;  // by layer, where they differ (Qwen2 max_window_layers)
  Dtype dtype = Dtype::kBf16;
  std::optional<int32_t> bos, pad;
  std::vector<int32_t> eos;
  std::optional<QuantizationConfig> quantization;
  Json raw;  // the whole document, for writing back

  int64_t qkv_width() const { return (heads + 2 * kv_heads) * head_dim; }  // W
  int64_t window_of(int64_t layer) const {
    return layer_window.empty() ? window : layer_window[static_cast<size_t>(layer)];
  }
};

/// Parses config.json; `place` names it in errors. Sizes are checked (positive, divisible, bounded,
/// no overflow). Throws DataError, or UnavailableError for a family or a feature not supported.
ModelConfig parse_model_config(const Json& document, const std::string& place);
/// Reads FOLDER/config.json and generation_config.json.
ModelConfig load_model_config(const fs::path& folder);

/// One tensor of a model: its Hugging Face name and shape.
struct WeightSpec {
  std::string name;
  std::vector<int64_t> shape;
  bool linear = false;  // a projection that quantises (all of the blocks'), or lm_head
};
/// Every tensor the model must have, in file order (embedding, layers, norm, head unless tied).
std::vector<WeightSpec> model_weights(const ModelConfig& config);

}  // namespace nibble
