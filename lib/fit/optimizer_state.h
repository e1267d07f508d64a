// SPDX-License-Identifier: Apache-2.0
// What an optimizer keeps, laid out: the tensors that training updates and that the memory plan
// counts, by their names in a checkpoint.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "model/parameters.h"

namespace nibble {

struct OptimizerOptions {
  std::string name = "adamw";  // adamw, adamw-8bit, sgd
  double weight_decay = 0.0, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, momentum = 0.0;
};

using OptimizerState = std::vector<std::pair<std::string, Tensor>>;

/// Takes the state for all parameters. Throws UsageError for an unknown name.
OptimizerState take_optimizer_state(Arena& arena, const OptimizerOptions& options,
                                    const ParameterSet& parameters);

}  // namespace nibble
