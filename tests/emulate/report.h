// SPDX-License-Identifier: Apache-2.0
// What the emulator found, one line each, and the seed of its random order.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <string>

namespace nibble::emulate {

/// Of this process: NIBBLE_EMULATE_SEED, or one drawn at the start.
uint64_t seed();

/// False with NIBBLE_EMULATE_CHECKS=off: then memory is not shadowed.
extern const bool kChecks;
inline bool checks_on() {
  return kChecks;
}

/// With NIBBLE_EMULATE_BODIES=skip what the device is given is counted and not done.
extern const bool kBodiesSkipped;
inline bool bodies_skipped() {
  return kBodiesSkipped;
}

/// Keeps and prints a line (the seed is added), and makes `status` what every later call returns,
/// as after a sticky error on the device. Unless a test takes the lines, the process ends with
/// failure.
void report(const std::string& line, cudaError_t status);

cudaError_t sticky_status();

/// Whether NIBBLE_EMULATE_FAULT is this.
bool faulty(const char* what);

/// Makes `status` what every later call returns, without a line: the fault is the test's own.
void break_device(cudaError_t status);

/// A small generator (xorshift64*), one for each place that needs an order of its own.
class Random {
 public:
  explicit Random(uint64_t state = 1) : state_(state * 0x9e3779b97f4a7c15u | 1) {
    next();
    next();
  }
  uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1du;
  }
  /// Below n.
  uint32_t below(uint32_t n) { return static_cast<uint32_t>((next() >> 32) * n >> 32); }

 private:
  uint64_t state_;
};

}  // namespace nibble::emulate
