// SPDX-License-Identifier: Apache-2.0
// Parts of weights quantised on a device. Each is copied in from pinned memory, quantised, and what
// it has become is copied out, on a stream of its own: while the host fills one and writes another,
// others come, are quantised, and go.
#pragma once

#include <vector>

#include "quant/quantize.h"
#include "tensor/arena.h"

namespace nibble {

/// What a part and what it becomes take.
struct PartBytes {
  size_t floats = 0, codes = 0, scales = 0;
  PartBytes() = default;
  PartBytes(const QuantizeOptions& options, Dtype dtype, int64_t rows, int64_t in_features);
  void grow_to(const PartBytes& other);
};

class DeviceParts {
 public:
  /// Room for `count` parts at a time, none larger than `most`, in the device's memory and in the
  /// host's. On an arena that measures, of the device alone.
  DeviceParts(Arena& arena, size_t count, const PartBytes& most);

  /// Where the floats of part i are to be put.
  std::byte* floats(size_t i) const { return at(host_.data(), i); }
  /// Begins with the floats that were put there. Different threads may see to different parts.
  void begin(size_t i, const QuantizeOptions& options, Dtype dtype, int64_t rows,
             int64_t in_features);
  /// Waits for part i, which is good until its floats are put anew.
  QuantizedPart fetch(size_t i) const;

 private:
  std::byte* at(std::byte* memory, size_t i) const { return memory + i * stride_; }

  size_t codes_at_ = 0, scales_at_ = 0, stride_ = 0;  // of a part: its floats come first
  Tensor device_;                                     // u8
  HostMemory host_;
  std::vector<Tensor> rows_;  // of the parts begun
  std::vector<OwnedStream> streams_;
};

}  // namespace nibble
