// SPDX-License-Identifier: Apache-2.0
// Choosing the next token from logits, with the knobs that transformers has, in its order:
// repetition penalty (Keskar et al. 2019), temperature, top-k, top-p (Holtzman et al. 2020), min-p
// (Nguyen et al. 2024), then a draw. Temperature 0 takes the largest logit.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace nibble {

struct SamplingOptions {
  double temperature = 0.0;
  int64_t top_k = 0;   // 0: off
  double top_p = 1.0;  // 1: off
  double min_p = 0.0;  // 0: off
  double repetition_penalty = 1.0;
  uint64_t seed = 0;
};

/// Buffers for a vocabulary, reused from token to token.
class Sampler {
 public:
  Sampler(const SamplingOptions& options, int64_t vocab_size);

  /// The next token after `seen` (prompt and completion so far). The draw is a function of the
  /// seed, `sequence` and the number of tokens seen alone. `logits` is changed.
  int32_t next(std::span<float> logits, std::span<const int32_t> seen, uint64_t sequence);

 private:
  SamplingOptions options_;
  std::vector<int32_t> order_;
  std::vector<uint8_t> marked_;
};

}  // namespace nibble
