// SPDX-License-Identifier: Apache-2.0
// The draws of numpy.random.default_rng(seed): PCG64 (O'Neill, 2014; XSL-RR, 128 bits of state),
// seeded by SeedSequence, and bounded by Lemire's method (2019). sacrebleu resamples with it, so
// the same seed gives its very intervals and p-values.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace nibble {

class NumpyRandom {
 public:
  explicit NumpyRandom(uint64_t seed);

  uint64_t next64();
  uint32_t next32();

  /// As integers(0, count, size): `count` at least 1.
  void integers(int64_t count, std::span<int32_t> out);
  /// As integers(2, size, dtype=bool) of all that is drawn so.
  bool coin();

 private:
  uint64_t state_high_ = 0, state_low_ = 0, step_high_ = 0, step_low_ = 0;
  bool has_half_ = false;
  uint32_t half_ = 0, coins_ = 0;
  int coins_left_ = 0;
};

}  // namespace nibble
