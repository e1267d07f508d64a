// SPDX-License-Identifier: Apache-2.0
// Device and pinned memory with its shadow. All of it lies in one reserved range, so that an
// address is known by one comparison. For each 4-byte word the shadow holds which of its bytes are
// allocated and written, and who last wrote and read it: the task (kernel, copy, product), the
// block, the thread and how many barriers its block had passed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nibble::emulate {

/// An access packed in 64 bits, from the top: task 19, block 18, thread 10, bytes 4, barriers
/// passed 12, flag 1 (a write: was atomic; a read: several threads did). 0 is none.
struct Stamp {
  static constexpr int kTask = 45, kBlock = 27, kThread = 17, kBytes = 13, kBarriers = 1;
  static constexpr uint32_t kMaxTask = (1u << 19) - 1, kMaxBlock = (1u << 18) - 1,
                            kMaxBarriers = (1u << 12) - 1;
  /// In a read: several blocks did.
  static constexpr uint32_t kManyBlocks = kMaxBlock;

  uint64_t bits;

  uint32_t task() const { return static_cast<uint32_t>(bits >> kTask); }
  uint32_t block() const { return bits >> kBlock & kMaxBlock; }
  uint32_t thread() const { return bits >> kThread & 1023; }
  uint32_t bytes() const { return bits >> kBytes & 15; }
  uint32_t barriers() const { return bits >> kBarriers & kMaxBarriers; }
  bool flag() const { return bits & 1; }
};

/// Reads of the two halves are kept apart: neighbouring 16-bit elements often belong to different
/// blocks, and what one of them reads the other may write beside. `written` is the time of the
/// write in its block (worker.h), by which lanes of one warp are ordered.
struct Cell {
  uint64_t write, read[2];
  uint32_t written;
};

/// The range. `state` has a byte a word: low nibble the bytes written, high nibble those allocated.
struct Heap {
  uintptr_t base = 0;
  size_t bytes = 0;
  uint8_t* state = nullptr;
  Cell* cells = nullptr;
  bool holds(const void* p, size_t n = 1) const {
    const uintptr_t offset = reinterpret_cast<uintptr_t>(p) - base;
    return offset < bytes && n <= bytes - offset;
  }
  size_t word(const void* p) const { return (reinterpret_cast<uintptr_t>(p) - base) / 4; }
};
extern Heap heap;

enum class Kind { kDevice, kPinned };

/// 256-byte aligned, with a gap after it; nullptr where the emulated device is full.
void* allocate(size_t bytes, Kind kind);
/// False where `p` is no live allocation of that kind.
bool release(void* p, Kind kind);
/// Bytes in use and in all of the emulated device (NIBBLE_EMULATE_MEMORY, default 1 GiB).
size_t device_bytes_used();
size_t device_bytes();

struct Place {
  bool live = false;
  Kind kind = Kind::kDevice;
  uintptr_t start = 0;
  size_t bytes = 0;
  bool within = false;  // all bytes asked about
};
Place find_allocation(const void* p, size_t bytes);
/// "device allocation 3 + 128 of 4096", for reports.
std::string describe(const void* p);

bool register_host(void* p, size_t bytes);
bool unregister_host(void* p);
bool registered(const void* p, size_t bytes);

/// A task while it runs. What came before it: by its vector clock over streams, and within one
/// replay of a graph by its ancestors there.
struct Running {
  uint32_t id = 0;
  uint32_t stream = 0, sequence = 0;
  uint32_t replay = 0, node = 0;
  const std::vector<uint32_t>* clock = nullptr;
  const std::vector<bool>* ancestors = nullptr;
  std::string name;
};
extern Running running;

/// Gives the running task an id of its own, so that ordered() knows it later.
void begin_task(Running task);
void end_task();
/// True where the task of that id is known to have ended before the running one began.
bool ordered_before_running(uint32_t task);
/// As above for a host that has seen `clock`.
bool ordered_before(uint32_t task, const std::vector<uint32_t>& clock);
std::string task_name(uint32_t task);

/// Checks an access by a task that is no kernel, and records it; false (and a report) where it is a
/// fault. Memory that is not the heap's passes.
bool check_range(const void* p, size_t bytes, bool write);
/// What was never written stays so after a copy: whether all of the range was.
bool all_written(const void* p, size_t bytes);

}  // namespace nibble::emulate
