// SPDX-License-Identifier: Apache-2.0
// CRC-32C (Castagnoli polynomial 0x1EDC6F41, reflected), as in iSCSI (RFC 3720) and ext4: finds
// every error burst of up to 32 bits and every single flipped byte.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nibble {

/// The CRC of `bytes` bytes at `data`; `crc` is the CRC of what came before them, 0 at the start.
uint32_t crc32c(const void* data, size_t bytes, uint32_t crc = 0);

}  // namespace nibble
