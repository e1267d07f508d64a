// SPDX-License-Identifier: Apache-2.0
// Small model folders for tests, with seeded random weights: nothing is downloaded or committed.
#pragma once

#include <string>
#include <vector>

#include "base/rng.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "model/config.h"

namespace nibble::test {

/// A config.json of a tiny model of that family ("llama", "mistral", "qwen2", "qwen3"): width 32,
/// 3 layers, 4 heads over 2 key/value heads, vocabulary 96. Change members before writing.
inline Json tiny_config(const std::string& family) {
  const std::string architecture = family == "llama"     ? "LlamaForCausalLM"
                                   : family == "mistral" ? "MistralForCausalLM"
                                   : family == "qwen2"   ? "Qwen2ForCausalLM"
                                                         : "Qwen3ForCausalLM";
  Json config = Json::object({{"architectures", Json::array({architecture})},
                              {"model_type", family},
                              {"vocab_size", 96},
                              {"hidden_size", 32},
                              {"intermediate_size", 48},
                              {"num_hidden_layers", 3},
                              {"num_attention_heads", 4},
                              {"num_key_value_heads", 2},
                              {"head_dim", 8},
                              {"max_position_embeddings", 128},
                              {"rms_norm_eps", 1e-5},
                              {"rope_theta", 10000.0},
                              {"hidden_act", "silu"},
                              {"tie_word_embeddings", false},
                              {"bos_token_id", 1},
                              {"eos_token_id", 2},
                              {"dtype", "float32"}});
  if (family == "mistral") config.set("sliding_window", 5);
  return config;
}

/// Writes config.json and model.safetensors (F32, normal weights of that deviation) into `folder`.
inline void write_tiny_model(const fs::path& folder, const Json& config, uint64_t seed,
                             double deviation = 0.2) {
  fs::create_directories(folder);
  write_text_file(folder / "config.json", config.dump(2));
  const ModelConfig parsed = parse_model_config(config, "config.json");
  std::vector<TensorInfo> infos;
  for (const WeightSpec& w : model_weights(parsed))
    infos.push_back(tensor_info(w.name, Dtype::kF32, w.shape));
  TensorWriter writer(folder, infos);
  Rng rng(seed);
  for (const TensorInfo& info : infos) {
    const bool norm = info.name.ends_with("norm.weight");
    std::vector<float> values(info.bytes / sizeof(float));
    for (float& v : values) v = static_cast<float>((norm ? 1.0 : 0.0) + deviation * rng.normal());
    writer.write(values.data(), info.bytes);
  }
  writer.finish();
}

}  // namespace nibble::test
