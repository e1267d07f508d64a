// SPDX-License-Identifier: Apache-2.0
// While decoding, each row's new key and value join its cache:
//   keys[b, lengths[b] - 1] = k of row b, values[b, lengths[b] - 1] = v of row b
#pragma once

#include "tensor/tensor.h"

namespace nibble {

struct StoreCache {
  Tensor keys;     // (B, P, W) f32|bf16: one position of each row is written
  Tensor values;   // (B, P, W) as keys
  Tensor k, v;     // (B, W) as keys, row stride free
  Tensor lengths;  // (B) i32, at most P: positions with the new one; 0: the row is idle
};

void store_cache(const StoreCache& op, Stream stream = current_stream());

}  // namespace nibble
