// SPDX-License-Identifier: Apache-2.0
// The mean of fp32 numbers with torch's own order of additions, so that the offset of double
// quantisation equals bitsandbytes' in its last place too: eight lanes, four rows at once, cascaded
// over four levels (aten/src/ATen/native/cpu/SumKernel.cpp). From 32,768 numbers on torch shares
// the sum out over its threads and the last place depends on their number; what is computed here is
// its result with one.
#pragma once

#include <span>

namespace nibble {

float torch_mean(std::span<const float> values);

}  // namespace nibble
