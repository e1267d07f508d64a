// SPDX-License-Identifier: Apache-2.0
// What generation keeps, laid out: the key/value cache and the buffers of a forward pass. The
// generator takes them from an arena; the memory plan counts them on one without memory.
#pragma once

#include "fit/memory_plan.h"
#include "model/head.h"

namespace nibble {

/// Tokens of prompts read at once, unless one prompt alone is longer.
inline constexpr int64_t kPromptTokens = 1024;
/// Positions of its longest sequence that a graph of decoding is made for, at least.
inline constexpr int64_t kShortestDecode = 256;

struct GeneratorSizes {
  int64_t batch_size = 8;  // sequences that grow together
  int64_t context = 2048;  // positions of cache a sequence
  Dtype compute = Dtype::kBf16;
  bool graphs = true;  // CUDA graphs
};

/// For every block, (B, P, K*D) keys and values.
struct CacheBuffers {
  std::vector<Tensor> keys, values;
};
CacheBuffers take_cache(Arena& arena, const ModelConfig& config, int64_t slots, int64_t positions,
                        Dtype dtype);

inline constexpr int64_t kGrowingNumbers = 6;

struct GeneratorBuffers {
  CacheBuffers cache;
  BlockScratch scratch;
  BlockActivations activations;
  HeadBuffers head;
  BatchPlace batch;
  Tensor decode_scratch, sample_scratch;
  Tensor growing;  // (kGrowingNumbers, B) i32: what a step reads and writes of each sequence
  Tensor seen;     // (B, words) i32: the tokens it has seen (kernels/sample.h)
};
GeneratorBuffers take_generator_buffers(Arena& arena, const Model& model,
                                        const GeneratorSizes& sizes);

/// `model` may have an adapter declared; its weights need not be in memory.
MemoryPlan plan_generation(const Model& model, const GeneratorSizes& sizes, DeviceKind device);

/// Bytes of keys and values alone.
uint64_t cache_bytes(const ModelConfig& config, const GeneratorSizes& sizes);

}  // namespace nibble
