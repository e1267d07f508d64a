// SPDX-License-Identifier: Apache-2.0
#include "train/state_pager.h"

#include <algorithm>

namespace nibble {
namespace {

void copy_page(const OptimizerState& to, const OptimizerState& from, Stream stream) {
  for (size_t i = 0; i < to.size(); ++i) copy(to[i].tensor, from[i].tensor, stream);
}

}  // namespace

StatePager::StatePager(const OptimizerOptions& options, const ParameterSet& parameters,
                       Arena& arena)
    : pages_(state_pages(parameters.segments(static_cast<float>(options.weight_decay)),
                         options.page_elements)),
      slots_(take_page_slots(arena, options, page_sizes(pages_))) {
  if (arena.measuring()) return;
  const Device device = arena.device();
  host_ = make_pinned_arena(
      device, [&](Arena& a) { state_ = take_optimizer_state(a, options, parameters); });
  in_ = OwnedStream(device, StreamUse::kCopies);
  out_ = OwnedStream(device, StreamUse::kCopies);
  begun_ = OwnedEvent(device);
  for (auto* events : {&arrived_, &updated_, &left_})
    for (OwnedEvent& event : *events) event = OwnedEvent(device);
}

void StatePager::reset() {
  for (const StateArray& a : state_) zero(a.tensor, Stream{});
}

void StatePager::fetch(size_t page) {
  const size_t slot = page % kPageSlots;
  copy_page(front_of(slots_[slot], pages_[page]), page_of(state_, pages_[page]), in_.get());
  arrived_[slot].record(in_.get());
}

void StatePager::prefetch() {
  if (fetched_ > 0) return;
  begun_.record(current_stream());
  begun_.wait(in_.get());
  while (fetched_ < std::min(kPageSlots, pages_.size())) fetch(fetched_++);
}

void StatePager::for_pages(const Body& body) {
  const Stream stream = current_stream();
  prefetch();
  for (size_t p = 0; p < pages_.size(); ++p) {
    const size_t slot = p % kPageSlots;
    const OptimizerState here = front_of(slots_[slot], pages_[p]);
    arrived_[slot].wait(stream);
    body(pages_[p], here);
    updated_[slot].record(stream);
    updated_[slot].wait(out_.get());
    copy_page(page_of(state_, pages_[p]), here, out_.get());
    left_[slot].record(out_.get());
    if (p + kPageSlots >= pages_.size()) continue;
    left_[slot].wait(in_.get());
    fetch(p + kPageSlots);
  }
  for (size_t slot = 0; slot < std::min(kPageSlots, pages_.size()); ++slot)
    left_[slot].wait(stream);
  fetched_ = 0;
}

}  // namespace nibble
