// SPDX-License-Identifier: Apache-2.0
// This process's memory and what there is, as the kernel counts them.
#pragma once

#include <cstdint>

namespace nibble {

/// Peak resident memory, bytes (VmHWM).
uint64_t peak_rss();

/// Memory that this process may have, bytes: the machine's, or less where a control group (a
/// container, a batch job) says so.
uint64_t memory_total();
/// What of it is free now, page cache included.
uint64_t memory_available();

/// Gives back to the system what the heap holds and nobody uses, after much was freed.
void release_free_memory();

}  // namespace nibble
