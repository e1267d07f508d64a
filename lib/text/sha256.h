// SPDX-License-Identifier: Apache-2.0
// SHA-256, as FIPS 180-4 defines it.
#pragma once

#include <string>
#include <string_view>

namespace nibble {

/// Of bytes, in lower-case hex.
std::string sha256_hex(std::string_view bytes);

}  // namespace nibble
