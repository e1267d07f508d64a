// SPDX-License-Identifier: Apache-2.0
// This process's memory, as the kernel counts it.
#pragma once

#include <cstdint>

namespace nibble {

/// Peak resident memory, bytes (VmHWM).
uint64_t peak_rss();

}  // namespace nibble
