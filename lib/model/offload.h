// SPDX-License-Identifier: Apache-2.0
// What forward keeps for backward, in pinned host memory: of so many items (blocks, or inputs of
// segments) two at a time have a place on the device, item i in slot i % 2. An item leaves on one
// stream while the next is made, and comes back on another while the one above it is used. The last
// two stay where they are.
#pragma once

#include <array>
#include <memory>
#include <span>

#include "tensor/memory.h"

namespace nibble {

inline constexpr int64_t kOffloadSlots = 2;

class Offload {
 public:
  /// Takes `item_bytes` of pinned memory for each of `items` but the last two.
  Offload(Device device, int64_t items, size_t item_bytes);
  /// What an item of these tensors takes, and what the host holds of all.
  static size_t item_bytes(std::span<const Tensor> parts);
  static size_t host_bytes(int64_t items, size_t item_bytes);

  /// A micro-batch begins: nothing is kept yet, and of items under `lowest` nothing will be.
  void begin(int64_t lowest);
  /// Before an item is written into its slot.
  void before_write(int64_t item);
  /// The item is whole: `parts` of its slot leave.
  void written(int64_t item, std::span<const Tensor> parts);
  /// Before an item is read in backward, for which items go down one by one.
  void before_read(int64_t item);
  /// The item is read no more: the one two below comes into `parts`, which are its slot's.
  void read(int64_t item, std::span<const Tensor> parts);
  /// What the current stream does from now on comes after all copies.
  void end();

 private:
  bool moves(int64_t item) const { return item >= lowest_ && item + kOffloadSlots < items_; }
  std::byte* place(int64_t item) const;

  int64_t items_ = 0, lowest_ = 0;
  size_t item_bytes_ = 0;
  HostMemory host_;
  OwnedStream out_, in_;
  OwnedEvent begun_, ended_;
  std::array<OwnedEvent, kOffloadSlots> whole_, left_, used_, arrived_;
};

}  // namespace nibble
