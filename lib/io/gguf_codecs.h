// SPDX-License-Identifier: Apache-2.0
// The functions behind decode_blocks and encode_blocks: runs of blocks of one type.
#pragma once

#include <cstdint>

#include "io/gguf_blocks.h"

namespace nibble::ggml {

using Decoder = void (*)(const uint8_t* in, float* out, int64_t blocks);
using Encoder = void (*)(const float* in, uint8_t* out, int64_t blocks);

/// nullptr where there is none.
Decoder decoder(GgmlType type);
Encoder encoder(GgmlType type);

}  // namespace nibble::ggml
