// SPDX-License-Identifier: Apache-2.0
// Models as nibble-init makes them, and parameters laid out for them.
#pragma once

#include <string>

#include "model/init.h"
#include "model/weights.h"
#include "support/folder_test.h"

namespace nibble::test {

inline ModelShape tiny_shape(const std::string& family = "llama", bool tied = false) {
  return {.family = family,
          .layers = 3,
          .hidden_size = 16,
          .heads = 2,
          .kv_heads = 1,
          .head_dim = 8,
          .intermediate_size = 24,
          .vocab_size = 40,
          .max_position = 64,
          .tied = tied};
}

/// Writes a model of that shape into the folder and gives it back loaded.
inline Model make_model(const fs::path& folder, const ModelShape& shape, Dtype dtype = Dtype::kF32,
                        uint64_t seed = 1) {
  fs::create_directories(folder);
  write_initial_model(folder, shape_config(shape), "shape", dtype, seed);
  return load_model(folder);
}

/// The model's parameters, laid out in an arena of their own.
inline Arena lay_out(Model& model, Dtype compute = Dtype::kF32, bool with_gradients = false) {
  return model.parameters.lay_out(Device{}, compute, with_gradients);
}

/// What `action` throws, as thrown() has it, its folder written as "@".
template <class Action>
std::string thrown_in(const fs::path& folder, Action action) {
  std::string text = thrown(action);
  for (size_t at; (at = text.find(folder.string())) != std::string::npos;)
    text = cat(text.substr(0, at), "@", text.substr(at + folder.string().size()));
  return text;
}

}  // namespace nibble::test
