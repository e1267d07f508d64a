// SPDX-License-Identifier: Apache-2.0
// Weights of small models by name: drawn from a seed, written as a folder, read back.
#pragma once

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "base/rng.h"
#include "io/safetensors.h"
#include "model/config.h"
#include "support/tiny_model.h"

namespace nibble::test {

using Weights = std::map<std::string, std::vector<float>>;

/// Values in [-1, 1), on a grid that bf16 and f16 hold exactly.
inline Weights random_weights(const ModelConfig& config, uint64_t seed) {
  Weights out;
  Rng rng(seed);
  for (const WeightSpec& spec : model_weights(config)) {
    size_t n = 1;
    for (const int64_t d : spec.shape) n *= static_cast<size_t>(d);
    std::vector<float>& w = out[spec.name];
    for (size_t i = 0; i < n; ++i)
      w.push_back(static_cast<float>(static_cast<int64_t>(rng.below(256)) - 128) / 128.0f);
  }
  return out;
}

template <class T>
std::vector<T> rounded(const std::vector<float>& in) {
  std::vector<T> out;
  for (const float x : in) out.push_back(from_float<T>(x));
  return out;
}

/// Writes config.json and the weights, as `dtype`, in order of name.
inline void write_model_folder(const fs::path& folder, const Json& config, const Weights& weights,
                               Dtype dtype = Dtype::kF32, size_t max_shard = SIZE_MAX) {
  fs::create_directories(folder);
  write_text_file(folder / "config.json", config.dump(2));
  const ModelConfig parsed = parse_model_config(config, "config.json");
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const WeightSpec& spec : model_weights(parsed)) shapes[spec.name] = spec.shape;
  std::vector<TensorInfo> infos;
  for (const auto& [name, values] : weights) {
    const auto shape = shapes.contains(name)
                           ? shapes[name]
                           : std::vector<int64_t>{static_cast<int64_t>(values.size())};
    infos.push_back(tensor_info(name, dtype, shape));
  }
  TensorWriter writer(folder, infos, {{"format", "pt"}}, max_shard);
  for (const auto& [name, values] : weights) {
    const auto put = [&](const auto& typed) {
      writer.write(typed.data(), typed.size() * sizeof typed[0]);
    };
    if (dtype == Dtype::kF32) put(values);
    if (dtype == Dtype::kF16) put(rounded<f16>(values));
    if (dtype == Dtype::kBf16) put(rounded<bf16>(values));
  }
  writer.finish();
}

/// All float tensors of a folder, as floats.
inline Weights read_weights(const fs::path& folder) {
  const TensorStore store(folder);
  Weights out;
  for (const auto& [name, t] : store.tensors()) {
    std::vector<float>& w = out[name];
    const auto take = [&](auto zero) {
      using T = decltype(zero);
      for (size_t i = 0; i < t.bytes.size() / sizeof(T); ++i) {
        T value;
        std::memcpy(&value, t.bytes.data() + i * sizeof(T), sizeof(T));
        w.push_back(to_float(value));
      }
    };
    if (t.info.dtype == Dtype::kF32) take(float{});
    if (t.info.dtype == Dtype::kF16) take(f16{});
    if (t.info.dtype == Dtype::kBf16) take(bf16{});
  }
  return out;
}

}  // namespace nibble::test
