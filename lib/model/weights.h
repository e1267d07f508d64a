// SPDX-License-Identifier: Apache-2.0
// The weights of a model as its folder stores them, mapped and not copied: embedding, blocks, final
// norm and head, each linear layer dense or quantised.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <vector>

#include "io/safetensors.h"
#include "model/config.h"
#include "model/linear.h"
#include "tensor/memory.h"

namespace nibble {

/// A weight that is not a linear layer's: embedding table, norm.
struct Table {
  std::string name;  // "model.norm"
  Tensor weight;
  int parameter = -1;  // trained: its index
};

struct Block {
  Table attention_norm, mlp_norm;
  Table q_norm, k_norm;  // (D); absent but for q/k-normed families
  LinearGroup qkv, output, gate_up, down;
  int64_t window = 0;
  /// Where this layer's linear weights lie together in pinned host memory, to be copied to the
  /// device before they are read; empty: they are where they are computed with.
  std::span<const std::byte> streamed;

  static constexpr int64_t kGroups = 4;
  std::array<LinearGroup*, kGroups> groups() { return {&qkv, &output, &gate_up, &down}; }
  std::array<const LinearGroup*, kGroups> groups() const {
    return {&qkv, &output, &gate_up, &down};
  }
};

struct Model {
  ModelConfig config;
  std::shared_ptr<TensorStore> store;  // owns what the tensors below look at
  Table embedding;                     // (V,C)
  std::vector<Block> blocks;
  Table norm;       // (C)
  Projection head;  // (V,C); looks at the embedding where tied
  /// Small expanded tables (nested code books and the like) that quantised weights point to.
  std::shared_ptr<void> quantized_storage;
  std::shared_ptr<TensorStore> adapter_store;  // owns tables that an adapter put in place
  std::shared_ptr<HostMemory> host_memory;     // owns what a copy on a device has beside it, pinned
  ParameterSet parameters;                     // what is trained; empty for plain inference

  /// Every linear layer of the blocks, in order.
  std::vector<Projection*> projections();
  std::vector<const Projection*> projections() const;
  /// All weights' numbers, as counted for a dense model.
  int64_t parameter_count() const;
};

/// Loads config.json and the tensors, checking every shape and type. Throws DataError naming the
/// tensor; NoInputError for missing files.
Model load_model(const fs::path& folder);

/// All that load_model makes but the weights: what a plan of memory needs, from a config.json
/// alone. Weights are quantised where `config.quantization` says so, else of `config.dtype`; they
/// must not be read.
Model shape_model(const ModelConfig& config);

}  // namespace nibble
