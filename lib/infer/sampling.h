// SPDX-License-Identifier: Apache-2.0
// How the next token is chosen (kernels/sample.h), as the tools' options say it.
#pragma once

#include "kernels/sample.h"

namespace nibble {

struct SamplingOptions {
  double temperature = 0.0;
  int64_t top_k = 0;   // 0: off
  double top_p = 1.0;  // 1: off
  double min_p = 0.0;  // 0: off
  double repetition_penalty = 1.0;
  uint64_t seed = 0;

  bool penalises() const { return repetition_penalty != 1.0; }
};

/// The op with these options; its tensors are the caller's.
Sample sample_with(const SamplingOptions& options);

}  // namespace nibble
