// SPDX-License-Identifier: Apache-2.0
// The letters of every shape in nibble. All are int64_t, all tensors are row-major.
//
//   B  batch (rows of a shard)          H  query heads
//   T  time (positions of a row)        K  key/value heads
//   N  tokens, N = B*T                  D  head dimension
//   C  width (hidden size)              F  feed-forward width
//   V  vocabulary                       R  LoRA rank
//   L  layers                           G  quantisation block
//   I, O  in and out features of a linear layer, whose weight is (O, I)
//   S  packed sequences in a batch      W  fused q/k/v width, W = (H + 2K) * D
#pragma once

#include <cstdint>
