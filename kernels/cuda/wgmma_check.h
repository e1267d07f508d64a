// SPDX-License-Identifier: Apache-2.0
// Whether attention may run on wgmma: on compute capability 9.0, in a build with code for it, and
// where a small problem done both ways shows the same. Results that are wrong without a word would
// be the worst of faults, so a device shows first that it computes what the manual says.
#pragma once

#include "tensor/cuda.h"

namespace nibble::cuda {

/// What is known of the stream's device; finds it out at the device's first stream. Milliseconds,
/// in the stream's workspace; not to be called while the stream is captured. NIBBLE_WGMMA=0: no,
/// and nothing is tried.
bool wgmma_usable(Stream stream);

/// Finds it out anew, on a device that has wgmma. Where the two ways differ there is a notice.
bool wgmma_agrees(Stream stream);

}  // namespace nibble::cuda
