// SPDX-License-Identifier: Apache-2.0
// How large a model's weights are, by its configuration alone.
#pragma once

#include "model/config.h"

namespace nibble {

/// Bytes as nibble-init and nibble-quantize store them.
uint64_t weight_bytes(const ModelConfig& config);
/// The weights' numbers.
int64_t parameter_count(const ModelConfig& config);

/// Throws DataError where there are more than 10^13 parameters, a hundred times those of the
/// largest model, beyond which the bytes of a plan could no longer be counted in 64 bits.
void check_countable(const ModelConfig& config, const std::string& place);

}  // namespace nibble
