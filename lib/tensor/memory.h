// SPDX-License-Identifier: Apache-2.0
// Memory that tensors look at, on either device, and copies between them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "tensor/tensor.h"

namespace nibble {

class Arena;

/// Whether the kernel gives the CPU's memory huge pages where asked.
bool huge_pages();

/// Owns a block of a device's memory. On the CPU it is zeroed, page-aligned, in huge pages where
/// offered; on CUDA its content is unspecified. Throws MemoryError.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  DeviceMemory(size_t bytes, Device device);

  std::byte* data() const { return memory_.get(); }
  explicit operator bool() const { return memory_ != nullptr; }

 private:
  struct Release {
    size_t bytes;
    Device device;
    void operator()(std::byte* p) const;
  };
  std::unique_ptr<std::byte, Release> memory_;
};

/// Host memory that a device copies from and to without waiting; plain memory in a build without
/// CUDA or for the CPU.
class HostMemory {
 public:
  HostMemory() = default;
  HostMemory(size_t bytes, Device partner);
  std::byte* data() const { return memory_.get(); }

 private:
  struct Release {
    bool pinned;
    void operator()(std::byte* p) const;
  };
  std::unique_ptr<std::byte, Release> memory_;
};

/// What a stream is for: ops, each product's sums made as is fastest or in one sequence whatever it
/// costs; or copies alone, which need no memory of the device.
enum class StreamUse : unsigned char { kOps, kDeterministicOps, kCopies };

/// Owns a stream of the device; on the CPU there is nothing to own.
class OwnedStream {
 public:
  OwnedStream() = default;
  explicit OwnedStream(Device device, StreamUse use = StreamUse::kOps);
  /// The memory that ops need is the arena's, which must outlive this. One that measures: no
  /// stream.
  explicit OwnedStream(Arena& arena, StreamUse use = StreamUse::kOps);
  OwnedStream(OwnedStream&& other) noexcept;
  OwnedStream& operator=(OwnedStream&& other) noexcept;
  ~OwnedStream();
  Stream get() const { return stream_; }

 private:
  void create(StreamUse use, void* room);

  DeviceMemory room_;  // of a stream that has its own
  Stream stream_;
};

/// Owns an event: a point in the work of a stream that other streams can wait for. On the CPU work
/// is done at once, and there is nothing to wait for.
class OwnedEvent {
 public:
  OwnedEvent() = default;
  explicit OwnedEvent(Device device);
  OwnedEvent(OwnedEvent&& other) noexcept;
  OwnedEvent& operator=(OwnedEvent&& other) noexcept;
  ~OwnedEvent();

  /// Everything put on the stream so far.
  void record(Stream stream) const;
  /// What is put on the stream from now on starts after what was recorded last.
  void wait(Stream stream) const;
  /// Waits until what was recorded last is done.
  void wait() const;

 private:
  void* event_ = nullptr;
};

/// All elements from one dense tensor to another of the same type and count, wherever they live.
/// Asynchronous where a device takes part and host memory is pinned.
void copy(const Tensor& out, const Tensor& in, Stream stream = current_stream());
/// Elements of a dense tensor become zero bytes.
void zero(const Tensor& out, Stream stream = current_stream());
/// Waits for all work put on the stream.
void synchronize(Stream stream = current_stream());

/// A tensor's bytes, for files; on CUDA after a copy into `staging`, which is grown.
std::span<const std::byte> host_bytes(const Tensor& tensor, std::unique_ptr<std::byte[]>& staging,
                                      Stream stream = current_stream());

}  // namespace nibble
