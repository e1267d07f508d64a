// SPDX-License-Identifier: Apache-2.0
// The model that a question is about, from whatever describes it.
#pragma once

#include <optional>

#include "model/weights.h"

namespace nibble {

struct DescribedModel {
  std::string name;
  ModelConfig config;
  std::optional<Model> stored;  // where there are weights: mapped, not read
};

/// PATH is a model folder (with weights or config.json alone), a config.json, or a GGUF file, which
/// is planned as nibble-import makes it: dense, bf16. Throws as these are read, and DataError where
/// the sizes are past counting.
DescribedModel describe_model(const fs::path& path);

}  // namespace nibble
