// SPDX-License-Identifier: Apache-2.0
// Optimizer state in pages: runs of the flat storage that are updated one after another, so that no
// more than a few of them need be on the device at a time. Cuts fall between blocks of 8-bit state,
// and leave no piece of a large tensor so small that it would keep fp32 state: an update page by
// page has the bits of one in one go.
#pragma once

#include "fit/optimizer_state.h"

namespace nibble {

struct StatePage {
  StateCounts first, size;               // where it begins in each of the state's arrays
  std::vector<ParameterRange> segments;  // counted from the page's first element
};

/// Pages of up to `elements` elements (at least kLeastPageElements), in order.
std::vector<StatePage> state_pages(std::span<const ParameterRange> segments, int64_t elements);
inline constexpr int64_t kLeastPageElements = int64_t{1} << 14;

/// The part of the whole state that is the page's; and the front of a slot, as large as the page.
OptimizerState page_of(const OptimizerState& whole, const StatePage& page);
OptimizerState front_of(const OptimizerState& slot, const StatePage& page);

/// A page is updated while the next one comes in and the last one leaves.
inline constexpr size_t kPageSlots = 3;
using PageSlots = std::array<OptimizerState, kPageSlots>;
/// What slots are taken by: how many pages there are, and the most that one of them has.
struct PageSizes {
  size_t pages = 0;
  StateCounts most;
};
PageSizes page_sizes(std::span<const StatePage> pages);
/// Takes as many slots as there are pages, three at most, each for the largest.
PageSlots take_page_slots(Arena& arena, const OptimizerOptions& options, const PageSizes& sizes);

}  // namespace nibble
