// SPDX-License-Identifier: Apache-2.0
// What this machine can do at best, measured: the yardstick that a profile is read against.
#pragma once

#include "tensor/dtype.h"

namespace nibble {

struct MachineRates {
  double f32_flops = 0.0;   // a second, of a square product that fits no cache
  double bf16_flops = 0.0;  // likewise; operands bf16
  double read_bytes = 0.0;  // a second, of memory read by all threads
  double copy_bytes = 0.0;  // a second, read and written each counted
  // Of NF4 matrices times a few vectors, as in decoding:
  double expanded_weights = 0.0;  // a second, numbers that are read and expanded
  double vector_flops = 0.0;      // a second, of the products with them
};

/// Takes some 0.5 s and 256 MiB, with as many threads as are set.
MachineRates measure_machine();
/// Half of that: products of that type alone, and no copying.
MachineRates measure_machine(Dtype products);

}  // namespace nibble
