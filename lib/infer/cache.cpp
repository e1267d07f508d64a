// SPDX-License-Identifier: Apache-2.0
#include "infer/cache.h"

#include <utility>

#include "kernels/elementwise.h"
#include "tensor/memory.h"

namespace nibble {
namespace {

// Positions [position, position + count) of a slot, as rows.
Tensor positions_of(const Tensor& cache, int64_t slot, int64_t position, int64_t count) {
  const int64_t width = cache.dim(2);
  const int64_t element = (slot * cache.dim(1) + position) * width;
  return make_tensor(
      static_cast<std::byte*>(cache.data) + static_cast<size_t>(element) * dtype_bytes(cache.dtype),
      cache.dtype, {count, width}, cache.device);
}

}  // namespace

Cache::Cache(CacheBuffers buffers, const ModelConfig& config, int64_t positions)
    : query_width_(config.heads * config.head_dim),
      width_(config.kv_heads * config.head_dim),
      positions_(positions),
      buffers_(std::move(buffers)) {}

void Cache::store(int64_t block, int64_t slot, int64_t position, const Tensor& qkv, int64_t row,
                  int64_t count) const {
  CHECK(position >= 0 && position + count <= positions_);
  const Tensor from = rows(qkv, row, count);
  cast({.out = positions_of(keys(block), slot, position, count),
        .in = columns(from, query_width_, width_)});
  cast({.out = positions_of(values(block), slot, position, count),
        .in = columns(from, query_width_ + width_, width_)});
}

void Cache::move(int64_t from, int64_t to, int64_t positions) const {
  if (positions == 0) return;
  for (const auto* all : {&buffers_.keys, &buffers_.values})
    for (const Tensor& t : *all)
      copy(positions_of(t, to, 0, positions), positions_of(t, from, 0, positions));
}

}  // namespace nibble
