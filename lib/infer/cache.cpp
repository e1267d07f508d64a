// SPDX-License-Identifier: Apache-2.0
#include "infer/cache.h"

#include <cstring>
#include <utility>

namespace nibble {
namespace {

std::byte* at(const Tensor& cache, int64_t slot, int64_t position) {
  const int64_t element = (slot * cache.dim(1) + position) * cache.dim(2);
  return static_cast<std::byte*>(cache.data) +
         static_cast<size_t>(element) * dtype_bytes(cache.dtype);
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
  const Tensor cached[2] = {keys(block), values(block)};
  const size_t element = dtype_bytes(qkv.dtype), bytes = static_cast<size_t>(width_) * element;
  for (int i = 0; i < 2; ++i)
    for (int64_t t = 0; t < count; ++t) {
      const int64_t from = (row + t) * qkv.row_stride + query_width_ + i * width_;
      std::memcpy(at(cached[i], slot, position + t),
                  static_cast<const std::byte*>(qkv.data) + static_cast<size_t>(from) * element,
                  bytes);
    }
}

void Cache::move(int64_t from, int64_t to, int64_t positions) const {
  for (const auto* all : {&buffers_.keys, &buffers_.values})
    for (const Tensor& t : *all)
      std::memcpy(at(t, to, 0), at(t, from, 0),
                  static_cast<size_t>(positions * width_) * dtype_bytes(t.dtype));
}

}  // namespace nibble
