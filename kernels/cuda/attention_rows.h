// SPDX-License-Identifier: Apache-2.0
// Attention for f32, and for heads that tiles cannot read 16 bytes at a time: a warp a row, in fp32
// throughout. Slower than the tiles by far, and exact where they round weights to bf16.
#pragma once

#include "kernels/cuda/attention_tiles.h"

namespace nibble::cuda {

void attention_forward_rows(const AttentionForward& op, const AttentionArgs& args, Stream stream);
/// delta is (N,H) f32, filled.
void attention_backward_rows(const AttentionBackward& op, const AttentionArgs& args,
                             const float* delta, Stream stream);

}  // namespace nibble::cuda
