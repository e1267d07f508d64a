// SPDX-License-Identifier: Apache-2.0
// Attention on wgmma, for compute capability 9.0: what kernels/attention_*.cu call where on_wgmma()
// says so. Same contract.
#pragma once

#include "kernels/cuda/attention_tiles.h"
#include "kernels/cuda/queue.h"

namespace nibble::cuda {

/// Whether these are for such heads on the stream's device, given that tiled() says yes. A build
/// without code for it (NIBBLE_HOPPER not defined) does not ask.
inline bool on_wgmma(const AttentionShape& shape, const Queue& queue) {
  return queue.wgmma && (shape.head_dim == 64 || shape.head_dim == 128) && shape.scale > 0.0f;
}

/// Starts forward, and the two sweeps of backward (`args.delta` written), on the stream.
void attention_forward_wgmma(const AttentionForward& op, const AttentionArgs& args,
                             cudaStream_t stream);
void attention_backward_wgmma(const AttentionGradientArgs& args, cudaStream_t stream);

}  // namespace nibble::cuda
