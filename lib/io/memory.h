// SPDX-License-Identifier: Apache-2.0
// This process's memory and what there is, as the kernel counts them.
#pragma once

#include <cstdint>
#include <filesystem>

namespace nibble {

/// Peak resident memory, bytes (VmHWM).
uint64_t peak_rss();

struct MemoryAllowed {
  uint64_t total = 0, available = 0;  // bytes; what is available counts page cache
};
/// What is left of a machine's memory by the control groups of a process: the tightest limit on the
/// way from its group to the root, of version 2 (memory.max) or 1 (memory.limit_in_bytes). `mount`
/// is where the groups are mounted, `self` lists the process's own.
MemoryAllowed limited_by_groups(MemoryAllowed machine,
                                const std::filesystem::path& mount = "/sys/fs/cgroup",
                                const std::filesystem::path& self = "/proc/self/cgroup");

/// Memory that this process may have, bytes: the machine's, or less where a control group (a
/// container, a batch job) says so.
uint64_t memory_total();
/// What of it is free now, page cache included.
uint64_t memory_available();

/// What `ulimit -v` leaves of this process's addresses, bytes; UINT64_MAX where it sets no limit.
uint64_t address_space_available();

/// Gives back to the system what the heap holds and nobody uses, after much was freed.
void release_free_memory();

}  // namespace nibble
