// SPDX-License-Identifier: Apache-2.0
// Panels of merged weights made on a device. The base's rows come in as they are stored, through
// pinned memory, become f32, have scale * B A added and go back; while the host uses one panel, the
// device makes the next.
#pragma once

#include <array>

#include "model/weights.h"
#include "tensor/arena.h"

namespace nibble {

class MergeDevice {
 public:
  /// Of the model, whose parameters are laid out in the host's memory; it must stay.
  explicit MergeDevice(const Model& model) : model_(model) {}
  /// Takes room for panels of any layer that has an adapter or is quantised. Once, and before all
  /// else; an arena that measures does not count.
  void lay_out(Arena& arena);

  /// Rows [begin, begin + M) of W + scale * B A: out is (M,I) f32, written.
  void fill(const Projection& projection, int64_t begin, const Tensor& out);

 private:
  /// A panel under way.
  struct Lane {
    const Projection* projection = nullptr;
    int64_t begin = 0, count = 0;
    Tensor stored, panel;  // (bytes) u8 and (elements) f32, on the device
    std::byte *host_stored = nullptr, *host_panel = nullptr;
    OwnedEvent done;
  };
  void start(Lane& lane, const Projection& projection, int64_t begin, int64_t count);
  void bring_adapter(const Projection& projection);

  const Model& model_;
  Tensor a_, b_;  // room for the adapter of one layer
  const Projection* adapter_ = nullptr;
  HostMemory host_;  // outlives work on the stream
  OwnedStream stream_;
  std::array<Lane, 2> lanes_;
  size_t next_ = 0;
};

}  // namespace nibble
