// SPDX-License-Identifier: Apache-2.0
// A GGUF file's metadata as the config.json of a Hugging Face folder: architectures llama (LLaMA,
// and Mistral as llama.cpp stores it), qwen2 and qwen3. Whatever the metadata says that these
// families cannot express is refused by name.
#pragma once

#include <span>
#include <vector>

#include "io/gguf.h"
#include "io/json.h"
#include "model/config.h"

namespace nibble {

/// The document, without token ids. `dtype` is what the weights will be stored as. Throws DataError
/// or UnavailableError naming file and key.
Json config_from_gguf(const GgufFile& file, Dtype dtype);

/// LLaMA 3.1's RoPE scaling as GGUF's rope_freqs.weight states it: the number (D/2 of them) that
/// each frequency is divided by. `rope.scaling` is kLlama3.
std::vector<float> llama3_rope_factors(const RopeConfig& rope, int64_t head_dim);

/// The scaling that has these factors, among those that models use: low 1, high 4, any factor, any
/// original length that is a power of two. Nothing where there is none.
std::optional<RopeConfig> find_llama3_rope(std::span<const float> factors, double theta);

}  // namespace nibble
