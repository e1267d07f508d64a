// SPDX-License-Identifier: Apache-2.0
// Arena: one allocation from which the buffers of a step are cut before the first step. The same
// layout code runs twice, first on a measuring arena (no memory behind it) and then on a real one,
// so what was planned is what is used.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>

#include "tensor/tensor.h"

namespace nibble {

class Arena {
 public:
  /// Measures: tensors have a shape but point nowhere.
  Arena() = default;
  /// Holds `bytes` of zeroed, 64-byte aligned memory on the CPU (huge pages where offered).
  /// Throws MemoryError.
  explicit Arena(size_t bytes);
  Arena(Arena&&) = default;
  Arena& operator=(Arena&&) = default;

  /// The next tensor, 64-byte aligned. Throws BugError where a real arena is exhausted.
  Tensor take(Dtype dtype, std::initializer_list<int64_t> shape);

  /// Stack discipline for scratch that may share memory: what is taken after mark() is given back
  /// by release(mark).
  size_t mark() const { return used_; }
  void release(size_t mark) { used_ = mark; }

  bool measuring() const { return memory_ == nullptr; }
  size_t peak() const { return peak_; }

 private:
  struct Unmap {
    size_t bytes;
    void operator()(std::byte* p) const;
  };
  std::unique_ptr<std::byte, Unmap> memory_;
  size_t capacity_ = 0, used_ = 0, peak_ = 0;
};

}  // namespace nibble
