// SPDX-License-Identifier: Apache-2.0
// Adapter folders as PEFT reads and writes them: adapter_config.json and adapter_model.safetensors
// with "base_model.model.<module>.lora_A.weight" (R,I) and "lora_B.weight" (O,R), trained modules
// and biases.
#pragma once

#include "io/file.h"
#include "model/lora.h"

namespace nibble {

/// Reads adapter_config.json. What would change the result and is not supported is refused by name
/// (DoRA, other methods than LORA, fan_in_fan_out, ...).
LoraConfig load_adapter_config(const fs::path& folder);

/// Fills the parameters that attach_lora declared from the folder's tensors. Every tensor must fit
/// and none may be missing or left over: DataError names it.
void load_adapter_weights(const fs::path& folder, const Model& model);

/// Writes the folder's two files (into an AtomicFolder's working(), or any folder). `extra` members
/// are added to adapter_config.json.
void save_adapter(const fs::path& folder, const Model& model, const LoraConfig& config);

/// Writes all trained weights as a dense Hugging Face model (--method=full), config.json and the
/// tokenizer's files copied from `source`.
void save_full_model(const fs::path& folder, const Model& model, const fs::path& source,
                     Dtype dtype);

}  // namespace nibble
