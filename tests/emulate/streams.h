// SPDX-License-Identifier: Apache-2.0
// Streams, events and graphs. A stream is a queue; nothing says when its tasks run, only their
// order, so they run when someone waits for them, or at random earlier, streams in random turn.
// What is ordered before what is kept as vector clocks over streams, so that memory can tell a
// missing event wait even where the random order happened to be the right one.
#pragma once

#include <cuda_runtime.h>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace nibble::emulate {

/// Memory of the host that a task touches when it runs.
struct HostRange {
  const void* start;
  size_t bytes;
  bool written;
};

struct Work {
  std::string name;
  std::function<void()> run;
  std::vector<HostRange> host;
  const void* kernel = nullptr;  // of a launch
  std::string counted;           // as what take_submissions() counts it; empty: not at all
  bool skippable = true;         // with NIBBLE_EMULATE_BODIES=skip
};

/// All calls of the API hold it.
std::recursive_mutex& api_mutex();

/// Queues (or captures) work on a stream.
cudaError_t enqueue(cudaStream_t stream, Work work);
/// Runs tasks until the stream's are done; the host then comes after them.
cudaError_t synchronize(cudaStream_t stream);
cudaError_t synchronize_all();
/// After a fault: takes all tasks from the queues without running them.
void drop_queues();
/// What a call that may not be made during a capture returns; cudaSuccess where none is under way.
/// The capture is lost.
cudaError_t refuse_in_capture();
bool capturing(cudaStream_t stream);

/// Host code compiled for the emulator touches device or pinned memory.
void host_access(const void* p, size_t bytes, bool write);

/// Keeps a status for cudaGetLastError and returns it.
cudaError_t note(cudaError_t status);

}  // namespace nibble::emulate
