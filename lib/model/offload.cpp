// SPDX-License-Identifier: Apache-2.0
#include "model/offload.h"

#include <algorithm>

#include "tensor/arena.h"

namespace nibble {
namespace {

size_t slot_of(int64_t item) {
  return static_cast<size_t>(item % kOffloadSlots);
}

// body(part, the same on the host) over the parts, one behind the other from `at`.
template <class Body>
void for_parts(std::span<const Tensor> parts, std::byte* at, size_t room, const Body& body) {
  size_t used = 0;
  for (const Tensor& part : parts) {
    CHECK(part.dense() && used + Arena::room_for(part) <= room);
    Tensor host = part;
    host.data = at + used;
    host.device = {};
    body(part, host);
    used += Arena::room_for(part);
  }
}

}  // namespace

Offload::Offload(Device device, int64_t items, size_t item_bytes)
    : items_(items),
      item_bytes_(item_bytes),
      host_(host_bytes(items, item_bytes), device),
      out_(device, StreamUse::kCopies),
      in_(device, StreamUse::kCopies),
      begun_(device),
      ended_(device) {
  for (auto* events : {&whole_, &left_, &used_, &arrived_})
    for (OwnedEvent& event : *events) event = OwnedEvent(device);
}

size_t Offload::item_bytes(std::span<const Tensor> parts) {
  size_t sum = 0;
  for (const Tensor& part : parts) sum += Arena::room_for(part);
  return sum;
}

size_t Offload::host_bytes(int64_t items, size_t item_bytes) {
  return static_cast<size_t>(std::max<int64_t>(0, items - kOffloadSlots)) * item_bytes;
}

std::byte* Offload::place(int64_t item) const {
  return host_.data() + static_cast<size_t>(item) * item_bytes_;
}

void Offload::begin(int64_t lowest) {
  lowest_ = lowest;
  // Both streams follow the current one from here on, which a capture of it needs.
  begun_.record(current_stream());
  begun_.wait(out_.get());
  begun_.wait(in_.get());
}

void Offload::before_write(int64_t item) {
  if (moves(item - kOffloadSlots)) left_[slot_of(item)].wait(current_stream());
}

void Offload::written(int64_t item, std::span<const Tensor> parts) {
  if (!moves(item)) return;
  const size_t slot = slot_of(item);
  whole_[slot].record(current_stream());
  whole_[slot].wait(out_.get());
  for_parts(parts, place(item), item_bytes_,
            [&](const Tensor& part, const Tensor& host) { copy(host, part, out_.get()); });
  left_[slot].record(out_.get());
}

void Offload::before_read(int64_t item) {
  if (moves(item)) arrived_[slot_of(item)].wait(current_stream());
}

void Offload::read(int64_t item, std::span<const Tensor> parts) {
  const int64_t next = item - kOffloadSlots;
  if (next < 0 || !moves(next)) return;
  const size_t slot = slot_of(item);
  used_[slot].record(current_stream());
  used_[slot].wait(in_.get());
  for_parts(parts, place(next), item_bytes_,
            [&](const Tensor& part, const Tensor& host) { copy(part, host, in_.get()); });
  arrived_[slot].record(in_.get());
}

void Offload::end() {
  for (const OwnedStream* stream : {&out_, &in_}) {
    ended_.record(stream->get());
    ended_.wait(current_stream());
  }
}

}  // namespace nibble
