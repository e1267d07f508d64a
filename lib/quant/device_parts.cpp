// SPDX-License-Identifier: Apache-2.0
#include "quant/device_parts.h"

#include <algorithm>

#include "base/checked.h"
#include "kernels/quantize.h"

namespace nibble {
namespace {

Tensor bytes_at(std::byte* memory, size_t bytes, Device device = {}) {
  return make_tensor(memory, Dtype::kU8, {static_cast<int64_t>(bytes)}, device);
}

}  // namespace

PartBytes::PartBytes(const QuantizeOptions& options, Dtype dtype, int64_t rows,
                     int64_t in_features) {
  const int64_t elements = rows * in_features;
  floats = static_cast<size_t>(elements) * dtype_bytes(dtype);
  codes = code_bytes(options.type, elements);
  scales = static_cast<size_t>(
               options.type == QuantType::kInt8 ? rows : ceil_div(elements, options.block)) *
           sizeof(float);
}

void PartBytes::grow_to(const PartBytes& other) {
  floats = std::max(floats, other.floats);
  codes = std::max(codes, other.codes);
  scales = std::max(scales, other.scales);
}

DeviceParts::DeviceParts(Arena& arena, size_t count, const PartBytes& most) {
  const auto room = [](size_t bytes) { return round_up(bytes, Arena::kAlignment); };
  codes_at_ = room(most.floats);
  scales_at_ = codes_at_ + room(most.codes);
  stride_ = scales_at_ + room(most.scales);
  device_ = arena.take(Dtype::kU8, {static_cast<int64_t>(count), static_cast<int64_t>(stride_)});
  if (arena.measuring()) return;
  host_ = HostMemory(device_.bytes(), arena.device());
  rows_.resize(count);
  for (size_t i = 0; i < count; ++i)
    streams_.emplace_back(arena.device(), StreamUse::kCopies);  // quantising needs no scratch
}

void DeviceParts::begin(size_t i, const QuantizeOptions& options, Dtype dtype, int64_t rows,
                        int64_t in_features) {
  const StreamScope scope(streams_[i].get());
  const PartBytes bytes(options, dtype, rows, in_features);
  std::byte* const host = floats(i);
  std::byte* const there = at(static_cast<std::byte*>(device_.data), i);
  const Device device = device_.device;
  const Tensor weight = make_tensor(there, dtype, {rows, in_features}, device);
  const auto numbers = static_cast<int64_t>(bytes.scales / sizeof(float));
  const Tensor scales = make_tensor(there + scales_at_, Dtype::kF32, {numbers}, device);
  copy(bytes_at(there, bytes.floats, device), bytes_at(host, bytes.floats));
  if (options.type == QuantType::kInt8)
    quantize_int8({.codes = make_tensor(there + codes_at_, Dtype::kI8, {rows, in_features}, device),
                   .row_scale = scales,
                   .weight = weight});
  else
    quantize_4bit({.codes = bytes_at(there + codes_at_, bytes.codes, device),
                   .absmax = scales,
                   .weight = weight,
                   .type = options.type,
                   .block = options.block});
  copy(bytes_at(host + codes_at_, bytes.codes), bytes_at(there + codes_at_, bytes.codes, device));
  copy(bytes_at(host + scales_at_, bytes.scales),
       bytes_at(there + scales_at_, bytes.scales, device));
  rows_[i] = make_tensor(host, dtype, {rows, in_features});
}

QuantizedPart DeviceParts::fetch(size_t i) const {
  synchronize(streams_[i].get());
  const std::byte* host = floats(i);
  return {.rows = rows_[i],
          .codes = reinterpret_cast<const uint8_t*>(host + codes_at_),
          .scales = reinterpret_cast<const float*>(host + scales_at_)};
}

}  // namespace nibble
