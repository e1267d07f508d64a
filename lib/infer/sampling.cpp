// SPDX-License-Identifier: Apache-2.0
#include "infer/sampling.h"

namespace nibble {

Sample sample_with(const SamplingOptions& o) {
  return {.temperature = static_cast<float>(o.temperature),
          .top_k = o.top_k,
          .top_p = o.top_p,
          .min_p = o.min_p,
          .repetition_penalty = static_cast<float>(o.repetition_penalty),
          .seed = o.seed};
}

}  // namespace nibble
