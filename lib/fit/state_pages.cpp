// SPDX-License-Identifier: Apache-2.0
#include "fit/state_pages.h"

#include <algorithm>

#include "base/checked.h"
#include "kernels/segment_blocks.h"

namespace nibble {
namespace {

// How much of `left` elements of a large segment goes on a page with room for `room`: all of it, or
// whole blocks such that neither part is small; else nothing.
int64_t piece_of(int64_t left, int64_t room) {
  if (left <= room) return left;
  const int64_t piece = std::min(room, left - kSmallSegment) / kStateBlock * kStateBlock;
  return piece >= kSmallSegment ? piece : 0;
}

OptimizerState cut(const OptimizerState& state, const StateCounts& first, const StateCounts& size) {
  OptimizerState out;
  for (const StateArray& a : state)
    out.push_back({a.name, a.unit, rows(a.tensor, first.of(a.unit), size.of(a.unit))});
  return out;
}

}  // namespace

std::vector<StatePage> state_pages(std::span<const ParameterRange> segments, int64_t elements) {
  CHECK(elements >= kLeastPageElements);
  std::vector<StatePage> pages;
  StateCounts at;  // of the next piece
  const auto begin_page = [&](int64_t element) {
    at.elements = element;
    pages.push_back({.first = at, .size = {}, .segments = {}});
  };
  for (const ParameterRange& s : segments) {
    const bool small = s.count < kSmallSegment;
    for (int64_t done = 0; done < s.count;) {
      const int64_t begin = s.begin + done;
      if (pages.empty()) begin_page(begin);
      const int64_t room = pages.back().first.elements + elements - begin;
      const int64_t left = s.count - done;
      const int64_t piece = small ? (left <= room ? left : 0) : piece_of(left, room);
      if (piece == 0) {
        begin_page(begin);
        continue;
      }
      StatePage& page = pages.back();
      page.segments.push_back({begin - page.first.elements, piece, s.weight_decay});
      page.size.elements = begin + piece - page.first.elements;
      int64_t StateCounts::*const unit = small ? &StateCounts::small : &StateCounts::blocks;
      const int64_t count = small ? piece : ceil_div(piece, kStateBlock);
      page.size.*unit += count;
      at.*unit += count;
      done += piece;
    }
  }
  return pages;
}

OptimizerState page_of(const OptimizerState& whole, const StatePage& page) {
  return cut(whole, page.first, page.size);
}

OptimizerState front_of(const OptimizerState& slot, const StatePage& page) {
  return cut(slot, {}, page.size);
}

PageSizes page_sizes(std::span<const StatePage> pages) {
  PageSizes sizes{.pages = pages.size(), .most = {}};
  for (const StatePage& page : pages)
    for (const auto unit : {&StateCounts::elements, &StateCounts::blocks, &StateCounts::small})
      sizes.most.*unit = std::max(sizes.most.*unit, page.size.*unit);
  return sizes;
}

PageSlots take_page_slots(Arena& arena, const OptimizerOptions& options, const PageSizes& sizes) {
  PageSlots slots;
  for (size_t i = 0; i < std::min(kPageSlots, sizes.pages); ++i)
    slots[i] = take_optimizer_state(arena, options, sizes.most);
  return slots;
}

}  // namespace nibble
