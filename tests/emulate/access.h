// SPDX-License-Identifier: Apache-2.0
// Checks of what device code (and, where compiled for the emulator, host code) reads and writes.
#pragma once

#include "worker.h"

namespace nibble::emulate {

enum class Access { kRead, kWrite, kAtomic };

/// Checks one access of 1, 2, 4, 8 or 16 bytes by the current thread and records it. Never returns
/// where it is a fault.
void access(const void* p, int bytes, Access kind);

/// Keeps an access for the counters, where they count; `site` is who asked for it.
void log_access(const void* p, int bytes, Access kind, const void* site);
inline void note_access(const void* p, int bytes, Access kind, const void* site) {
  if (worker != nullptr && !worker->log.empty()) log_access(p, bytes, kind, site);
}

/// True where `p` is in the block's shared memory.
inline bool in_shared(const Worker& w, const void* p) {
  const auto* address = static_cast<const char*>(p);
  return static_cast<size_t>(address - w.dynamic) < kMaxShared ||
         static_cast<size_t>(address - w.statics) < w.static_bytes;
}

/// Marks shared memory that a cp.async will fill, and later as filled.
void begin_flight(void* p, int bytes);
void end_flight(void* p, int bytes);

/// Fails where the bytes are registers of a product of the current thread that is at work.
void check_registers(Worker& w, const void* p, int bytes, bool write);

/// Checks that the current thread's warpgroup may read 16 bytes of shared memory by wgmma, and
/// holds them: until release_from_wgmma() nobody may write there.
void hold_for_wgmma(const char* p);
void release_from_wgmma(const char* p);

}  // namespace nibble::emulate
