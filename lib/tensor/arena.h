// SPDX-License-Identifier: Apache-2.0
// Arena: one allocation from which the buffers of a step are cut before the first step. The same
// layout code runs twice, first on a measuring arena (no memory behind it) and then on a real one,
// so what was planned is what is used.
#pragma once

#include <cstddef>
#include <initializer_list>

#include "tensor/memory.h"

namespace nibble {

class Arena {
 public:
  /// Measures: tensors have a shape but point nowhere.
  explicit Arena(Device device = {}) : device_(device) {}
  /// Holds `bytes` of the device's memory (memory.h). Throws MemoryError.
  explicit Arena(size_t bytes, Device device = {});
  /// Holds memory of the host's that the device copies from and to without waiting.
  static Arena pinned(size_t bytes, Device partner);
  Arena(Arena&&) = default;
  Arena& operator=(Arena&&) = default;

  /// The next tensor, aligned to kAlignment bytes. Throws BugError where a real arena is exhausted.
  Tensor take(Dtype dtype, std::initializer_list<int64_t> shape);

  /// Stack discipline for scratch that may share memory: what is taken after mark() is given back
  /// by release(mark).
  size_t mark() const { return used_; }
  void release(size_t mark) { used_ = mark; }

  bool measuring() const { return base_ == nullptr; }
  size_t peak() const { return peak_; }
  Device device() const { return device_; }

  static constexpr size_t kAlignment =
      256;  // what cuBLASLt has algorithms for, and cudaMalloc gives
  /// Bytes that a tensor takes of an arena.
  static size_t room_for(const Tensor& tensor);

 private:
  Device device_;
  DeviceMemory memory_;
  HostMemory pinned_;
  std::byte* base_ = nullptr;
  size_t capacity_ = 0, used_ = 0, peak_ = 0;
};

/// An arena of what part(Arena&) takes, measured and then taken: the part is laid out twice.
template <class Part>
Arena make_arena(Device device, const Part& part) {
  Arena measure(device);
  part(measure);
  Arena arena(measure.peak(), device);
  part(arena);
  return arena;
}

/// Likewise in the host's memory, pinned for the device.
template <class Part>
Arena make_pinned_arena(Device partner, const Part& part) {
  Arena measure;
  part(measure);
  Arena arena = Arena::pinned(measure.peak(), partner);
  part(arena);
  return arena;
}

}  // namespace nibble
