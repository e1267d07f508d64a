// SPDX-License-Identifier: Apache-2.0
// What tells one model, or adapter, from another of the same shape, at the cost of a few pages.
#pragma once

#include <string>

#include "model/weights.h"

namespace nibble {

/// 16 hex digits over config.json (but for what only says who wrote it) and over every tensor's
/// name, type, shape, first and last 4 KiB. The folder's path does not matter.
std::string model_digest(const Model& model);

/// Likewise over an adapter's tensors.
std::string adapter_digest(const fs::path& folder);

}  // namespace nibble
