// SPDX-License-Identifier: Apache-2.0
// Optimizer state that lives in pinned host memory and visits the device for its update, page by
// page: while one is updated, the next comes in on one stream and the last leaves on another.
#pragma once

#include <functional>

#include "fit/state_pages.h"
#include "tensor/memory.h"

namespace nibble {

class StatePager {
 public:
  /// Slots come from the arena; the state itself is pinned memory of this object's.
  StatePager(const OptimizerOptions& options, const ParameterSet& parameters, Arena& arena);

  /// State of a run that has not begun.
  void reset();
  /// The whole state, in the host's memory. Once the stream that updated it is waited for, it is
  /// what the update left.
  const OptimizerState& state() const { return state_; }

  /// Begins to bring the first pages in, behind what the current stream has done so far. Nothing
  /// but for_pages may touch the state from here on.
  void prefetch();
  /// Calls body(page, its state on the device) for every page, in order, work of which goes to the
  /// current stream; what that stream does afterwards sees all pages back in the host's memory.
  using Body = std::function<void(const StatePage& page, const OptimizerState& state)>;
  void for_pages(const Body& body);

 private:
  void fetch(size_t page);

  std::vector<StatePage> pages_;
  Arena host_;
  OptimizerState state_;
  PageSlots slots_;
  OwnedStream in_, out_;
  OwnedEvent begun_;
  std::array<OwnedEvent, kPageSlots> arrived_, updated_, left_;
  size_t fetched_ = 0;  // pages under way before an update
};

}  // namespace nibble
