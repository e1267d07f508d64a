// SPDX-License-Identifier: Apache-2.0
// What the CUDA runtime does for nibble, without its headers: memory, copies, streams, events,
// graphs. Every program links one of two implementations: kernels/cuda/runtime.cpp, or
// kernels/without_cuda/, in which all throw UnavailableError. Every call is checked: a failure
// names what was done (UnavailableError no device or driver, MemoryError a full device, BugError
// else). Calls that take a Stream are asynchronous: host memory must be pinned and stay.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "tensor/device.h"

namespace nibble::cuda {

/// Whether this program has the CUDA halves of the ops.
bool built();

/// Throws UnavailableError, in a few words: no driver, one too old, no such device, a compute
/// capability below 8.0. It asks no more: that others hold the device alone is told by what wants
/// memory there first, that this build has no code for it by the first launch, as such errors too.
void check_device(int index);

struct DeviceFacts {
  std::string name;
  int major = 0, minor = 0;  // compute capability
  int multiprocessors = 0;
  size_t memory = 0, free = 0;  // bytes
};
DeviceFacts device_facts(int index);
/// Bytes of the device's memory that are in use: this process's, context and graphs included, and
/// those of whoever else is there.
size_t memory_in_use(int index);

/// What this thread does next concerns the device. StreamScope calls it.
void use_device(int index);

/// Device memory, 256-byte aligned, of unspecified content. MemoryError says how much is free.
void* allocate(size_t bytes, int device);
void release(void* memory) noexcept;
/// Host memory that copies may be asynchronous with.
void* allocate_pinned(size_t bytes);
void release_pinned(void* memory) noexcept;

/// Copies between any two memories, host or device.
void copy(void* to, const void* from, size_t bytes, Stream stream);
void zero(void* memory, size_t bytes, Stream stream);
/// Waits until all work of the stream is done; failures of that work are thrown here.
void synchronize(Stream stream);

/// Device memory that each stream holds for cuBLAS: what it likes on Hopper.
inline constexpr size_t kCublasWorkspaceBytes = size_t{32} << 20;
/// How a product's sums may be made: cut into parts that are added up afterwards where cuBLASLt
/// expects that to be faster, or each in one sequence.
enum class Sums : bool { kInParts, kInSequence };
/// Device memory that a stream's ops need: that of cuBLAS, and room for sums.
inline constexpr size_t kStreamBytes = kCublasWorkspaceBytes + (size_t{8} << 10);
/// A stream of its own, that does not wait for the legacy stream; `room` has kStreamBytes of the
/// device's memory, 256-byte aligned, and must outlive it.
Stream create_stream(int device, Sums sums, void* room);
/// Whether attention on such a stream goes by Hopper's wgmma; else by mma.sync.
bool on_wgmma(Stream stream);
/// One for copies alone: without the memory that ops need (cuBLAS's workspace).
Stream create_copy_stream(int device);
void destroy_stream(Stream stream) noexcept;

using Event = void*;
Event create_event(int device);
void destroy_event(Event event) noexcept;
void record(Event event, Stream stream);
/// Work put on the stream from now on starts after the event.
void wait(Stream stream, Event event);
/// The caller waits for the event.
void wait(Event event);

/// Records what is put on the stream (and on streams that wait for its events) instead of running
/// it; what end_capture gives is run by launch_graph as often as wanted. UnavailableError where the
/// driver refuses.
using Graph = void*;
void begin_capture(Stream stream);
Graph end_capture(Stream stream);
/// Forgets what was recorded, after a failure.
void abandon_capture(Stream stream) noexcept;
void launch_graph(Graph graph, Stream stream);
void destroy_graph(Graph graph) noexcept;

}  // namespace nibble::cuda
