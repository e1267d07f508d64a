// SPDX-License-Identifier: Apache-2.0
#include "tensor/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>

#include "tensor/arena.h"
#include "tensor/cuda.h"

namespace nibble {
namespace {

std::byte* map_zeroed(size_t bytes) {
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED)
    throw MemoryError(cat("cannot reserve ", bytes >> 20,
                          " MiB; lower --batch-size or the row length, or use --recompute=layer"));
  madvise(p, bytes, MADV_HUGEPAGE);
  return static_cast<std::byte*>(p);
}

}  // namespace

bool huge_pages() {
  std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");
  std::string choice;
  return std::getline(file, choice) && choice.find("[never]") == std::string::npos;
}

DeviceMemory::DeviceMemory(size_t bytes, Device device) {
  bytes = std::max<size_t>(bytes, 64);
  std::byte* p = device.on_cuda() ? static_cast<std::byte*>(cuda::allocate(bytes, device.index))
                                  : map_zeroed(bytes);
  memory_ = {p, Release{bytes, device}};
}

void DeviceMemory::Release::operator()(std::byte* p) const {
  if (device.on_cuda())
    cuda::release(p);
  else
    munmap(p, bytes);
}

HostMemory::HostMemory(size_t bytes, Device partner) {
  bytes = std::max<size_t>(bytes, 64);
  const bool pinned = partner.on_cuda();
  auto* p = pinned ? static_cast<std::byte*>(cuda::allocate_pinned(bytes)) : new std::byte[bytes];
  memory_ = {p, Release{pinned}};
}

void HostMemory::Release::operator()(std::byte* p) const {
  if (pinned)
    cuda::release_pinned(p);
  else
    delete[] p;
}

OwnedStream::OwnedStream(Device device, StreamUse use) : stream_{.device = device} {
  if (!device.on_cuda()) return;
  if (use != StreamUse::kCopies) room_ = DeviceMemory(cuda::kStreamBytes, device);
  create(use, room_.data());
}

OwnedStream::OwnedStream(Arena& arena, StreamUse use) : stream_{.device = arena.device()} {
  if (!stream_.device.on_cuda()) return;
  const Tensor room = arena.take(Dtype::kU8, {cuda::kStreamBytes});
  if (!arena.measuring()) create(use, room.data);
}

void OwnedStream::create(StreamUse use, void* room) {
  const int device = stream_.device.index;
  if (use == StreamUse::kCopies)
    stream_ = cuda::create_copy_stream(device);
  else
    stream_ = cuda::create_stream(
        device,
        use == StreamUse::kDeterministicOps ? cuda::Sums::kInSequence : cuda::Sums::kInParts, room);
}

OwnedStream::OwnedStream(OwnedStream&& other) noexcept
    : room_(std::move(other.room_)), stream_(std::exchange(other.stream_, {})) {}

OwnedStream& OwnedStream::operator=(OwnedStream&& other) noexcept {
  std::swap(room_, other.room_);
  std::swap(stream_, other.stream_);
  return *this;
}

OwnedStream::~OwnedStream() {
  if (stream_.handle) cuda::destroy_stream(stream_);
}

OwnedEvent::OwnedEvent(Device device)
    : event_(device.on_cuda() ? cuda::create_event(device.index) : nullptr) {}

OwnedEvent::OwnedEvent(OwnedEvent&& other) noexcept
    : event_(std::exchange(other.event_, nullptr)) {}

OwnedEvent& OwnedEvent::operator=(OwnedEvent&& other) noexcept {
  std::swap(event_, other.event_);
  return *this;
}

OwnedEvent::~OwnedEvent() {
  if (event_) cuda::destroy_event(event_);
}

void OwnedEvent::record(Stream stream) const {
  if (event_) cuda::record(event_, stream);
}

void OwnedEvent::wait(Stream stream) const {
  if (event_) cuda::wait(stream, event_);
}

void OwnedEvent::wait() const {
  if (event_) cuda::wait(event_);
}

void copy(const Tensor& out, const Tensor& in, Stream stream) {
  CHECK(out.dtype == in.dtype && out.elements() == in.elements() && out.dense() && in.dense());
  if (out.elements() == 0) return;
  if (stream.device.on_cuda())
    cuda::copy(out.data, in.data, out.bytes(), stream);
  else
    std::memcpy(out.data, in.data, out.bytes());
}

void zero(const Tensor& out, Stream stream) {
  CHECK(out.dense() && out.device == stream.device);
  if (out.elements() == 0) return;
  if (stream.device.on_cuda())
    cuda::zero(out.data, out.bytes(), stream);
  else
    std::memset(out.data, 0, out.bytes());
}

void synchronize(Stream stream) {
  if (stream.device.on_cuda()) cuda::synchronize(stream);
}

std::span<const std::byte> host_bytes(const Tensor& tensor, std::unique_ptr<std::byte[]>& staging,
                                      Stream stream) {
  const size_t bytes = tensor.bytes();
  if (!tensor.device.on_cuda()) return {static_cast<const std::byte*>(tensor.data), bytes};
  staging = std::make_unique<std::byte[]>(bytes);
  cuda::copy(staging.get(), tensor.data, bytes, stream);
  cuda::synchronize(stream);
  return {staging.get(), bytes};
}

}  // namespace nibble
