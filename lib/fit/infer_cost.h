// SPDX-License-Identifier: Apache-2.0
// How long generation takes, by roofline: a prompt is a forward pass without its head; a step of
// decoding reads every weight and the keys and values of every sequence. A processor multiplies a
// few vectors straight from the stored weights, at measured rates (kernels/machine_rates.h).
#pragma once

#include "fit/generator_layout.h"
#include "fit/step_cost.h"

namespace nibble {

/// Of one token for each sequence of the batch, at the end of the context.
double decoding_seconds(const Model& model, const GeneratorSizes& sizes, DeviceKind device,
                        const Rates& rates);

/// Of a token of prompts that fill the context.
double prompt_token_seconds(const Model& model, const GeneratorSizes& sizes, DeviceKind device,
                            const Rates& rates);

std::vector<std::string> generation_assumptions(const Rates& rates);

}  // namespace nibble
