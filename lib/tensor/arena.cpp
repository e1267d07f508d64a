// SPDX-License-Identifier: Apache-2.0
#include "tensor/arena.h"

#include <algorithm>

#include "base/checked.h"

namespace nibble {

Arena::Arena(size_t bytes, Device device)
    : device_(device),
      memory_(bytes, device),
      base_(memory_.data()),
      capacity_(std::max(bytes, kAlignment)) {}

Arena Arena::pinned(size_t bytes, Device partner) {
  Arena arena;
  arena.pinned_ = HostMemory(bytes, partner);
  arena.base_ = arena.pinned_.data();
  arena.capacity_ = std::max(bytes, kAlignment);
  return arena;
}

size_t Arena::room_for(const Tensor& t) {
  return round_up(t.bytes(), kAlignment);
}

Tensor Arena::take(Dtype dtype, std::initializer_list<int64_t> shape) {
  Tensor t = make_tensor(nullptr, dtype, shape, device_);
  const size_t bytes = room_for(t);
  if (!measuring()) {
    CHECK(used_ + bytes <= capacity_);
    t.data = base_ + used_;
  }
  used_ += bytes;
  peak_ = std::max(peak_, used_);
  return t;
}

}  // namespace nibble
