// SPDX-License-Identifier: Apache-2.0
// Adapter folders as PEFT 0.21 reads and writes them: adapter_config.json, and in
// adapter_model.safetensors, each name after "base_model.model.":
//   M.lora_A.weight (R,I), M.lora_B.weight (O,R)  of the adapted linear layer M
//   M.base_layer.bias, M.bias                     trained biases, of adapted layers and of others
//   M.weight, M.bias                              modules trained in full (modules_to_save)
//   model.embed_tokens.weight, lm_head.weight     also where the vocabulary was resized
#pragma once

#include "io/file.h"
#include "io/safetensors.h"
#include "model/lora.h"

namespace nibble {

/// Reads adapter_config.json. What would change the result and is not supported is refused by name
/// (DoRA, other methods than LORA, fan_in_fan_out, ...): UnavailableError. DataError for damage.
LoraConfig load_adapter_config(const fs::path& folder);
/// The document that load_adapter_config reads and PEFT's LoraConfig.from_pretrained takes.
Json adapter_config_json(const LoraConfig& config, const Model& model);

/// Declares in the model what the folder holds, taking over a resized vocabulary, and checks that
/// every tensor fits and that none is missing or left over (DataError names it). Lay the model's
/// parameters out next, then load_adapter_weights.
LoraConfig attach_adapter(Model& model, const fs::path& folder);

/// Fills the declared parameters from the folder (F32, BF16 or F16) and refreshes their compute
/// copies. Throws DataError for a tensor that is missing, left over, of another shape or not
/// finite.
void load_adapter_weights(const fs::path& folder, const Model& model);

/// Writes the folder's two files, F32 (into an AtomicFolder's working(), or any folder).
void save_adapter(const fs::path& folder, const Model& model, const LoraConfig& config);

/// Writes all trained weights as a dense Hugging Face model (--method=full) in `dtype`, config.json
/// with what has changed, and the files beside it copied from the base in `source`.
void save_full_model(const fs::path& folder, const Model& model, const fs::path& source,
                     Dtype dtype);

}  // namespace nibble
