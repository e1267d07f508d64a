// SPDX-License-Identifier: Apache-2.0
// A kernel being run over its grid.
#pragma once

#include <emulate/launch.h>

#include <atomic>
#include <mutex>
#include <set>
#include <unordered_map>
#include <vector>

namespace nibble::emulate {

struct Job {
  KernelLaunch launch;
  std::vector<std::byte> arguments;
  void (*call)(const void*, const void*);
  uint64_t seed = 0;
  std::atomic<bool> failed = false;

  // What a block released by a fence and an atomic, for the blocks that come to the same address.
  std::mutex mutex;
  std::unordered_map<uintptr_t, std::set<uint32_t>> released;
};

/// Runs the whole grid, shared among the emulator's OS threads.
void run_job(Job& job);

}  // namespace nibble::emulate
