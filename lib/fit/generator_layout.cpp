// SPDX-License-Identifier: Apache-2.0
#include "fit/generator_layout.h"

#include <algorithm>

#include "fit/cuda_plan.h"
#include "fit/step_items.h"
#include "kernels/sample.h"
#include "model/device_model.h"

namespace nibble {
CacheBuffers take_cache(Arena& arena, const ModelConfig& config, int64_t slots, int64_t positions,
                        Dtype dtype) {
  CacheBuffers cache;
  const int64_t width = config.kv_heads * config.head_dim;
  for (int64_t l = 0; l < config.layers; ++l) {
    cache.keys.push_back(arena.take(dtype, {slots, positions, width}));
    cache.values.push_back(arena.take(dtype, {slots, positions, width}));
  }
  return cache;
}

GeneratorBuffers take_generator_buffers(Arena& arena, const Model& model, const GeneratorSizes& s) {
  const int64_t most = std::max({kPromptTokens, s.context, s.batch_size});
  const BlockSizes sizes = {.tokens = most, .longest = s.context, .compute = s.compute};
  GeneratorBuffers b;
  b.cache = take_cache(arena, model.config, s.batch_size, s.context, s.compute);
  b.scratch = take_block_scratch(arena, model, sizes, Remade::kMlp);
  b.activations = take_activations(arena, model, sizes, Remade::kMlp, b.scratch);
  b.head = take_head(arena, model, sizes, s.batch_size);
  b.batch = BatchPlace(arena, most, s.batch_size);
  int64_t need = 0;
  for (int64_t l = 0; l < model.config.layers; ++l)
    need = std::max(
        need, attention_decode_scratch(attention_shape(model.config, model.config.window_of(l)),
                                       s.batch_size, s.context, arena.device()));
  b.decode_scratch = arena.take(Dtype::kF32, {need});
  const int64_t v = model.config.vocab_size;
  b.sample_scratch = arena.take(Dtype::kF32, {sample_scratch(s.batch_size, v, arena.device())});
  b.growing = arena.take(Dtype::kI32, {kGrowingNumbers, s.batch_size});
  b.seen = arena.take(Dtype::kI32, {s.batch_size, seen_words(v)});
  return b;
}

uint64_t cache_bytes(const ModelConfig& config, const GeneratorSizes& s) {
  Arena arena;
  take_cache(arena, config, s.batch_size, s.context, s.compute);
  return arena.peak();
}

MemoryPlan plan_generation(const Model& model, const GeneratorSizes& s, DeviceKind device) {
  const bool cuda = device == DeviceKind::kCuda;
  MemoryPlan plan;
  if (cuda)
    plan.add("weights (copied to the device)", weight_bytes_of(model).device);
  else
    plan.add("weights", weight_bytes(model));
  ParameterSet parameters = model.parameters;
  Arena adapter(Device{device}), arena(Device{device});
  parameters.lay_out(adapter, s.compute, false);
  plan.add("adapter", adapter.peak());
  const GeneratorBuffers b = take_generator_buffers(arena, model, s);
  const uint64_t cache = cache_bytes(model.config, s);
  const uint64_t sampling = Arena::room_for(b.decode_scratch) + Arena::room_for(b.sample_scratch) +
                            Arena::room_for(b.growing) + Arena::room_for(b.seen);
  plan.add("key/value cache", cache);
  plan.add("decoding and sampling", sampling);
  const StepBuffers step{
      .scratch = b.scratch, .slots = {b.activations}, .batch = b.batch, .head = b.head};
  const StepOptions options{.tokens = std::max({kPromptTokens, s.context, s.batch_size}),
                            .longest = s.context,
                            .compute = s.compute,
                            .training = false};
  add_step_items(plan, step, options, arena.peak() - cache - sampling);
  plan.add("rotary table", rope_bytes(model.config, s.context));
  if (cuda)
    add_cuda_items(plan, decode_graph_nodes(model.config, s));
  else
    plan.add("program and libraries", kProgramBytes);
  return plan;
}

}  // namespace nibble
