// SPDX-License-Identifier: Apache-2.0
// Import: whatever a model comes in, made a model folder (config.json, tokenizer files,
// safetensors) that nibble and transformers load:
//   a Hugging Face folder, dense or quantised by bitsandbytes (passed through)
//   a GGUF file: config and tokenizer from its metadata, blocks decoded
//   a llama2.c checkpoint, with the vocabulary beside it
// Weights stream: a few tensors' worth of memory. The folder appears whole or not at all.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "io/file.h"
#include "model/config.h"

namespace nibble {

struct ImportOptions {
  std::optional<Dtype> dtype;  // nothing: floats as they are, quantised ones to bf16
  size_t max_shard_bytes = 5'000'000'000;
  std::string tokenizer;  // llama2.c: the vocabulary file; empty: looked for beside the checkpoint
  std::function<void(size_t done, size_t total, const std::string& name)> progress;
};

struct ImportReport {
  std::string source;  // "GGUF version 3", "Hugging Face folder", "llama2.c checkpoint"
  ModelConfig config;
  size_t tensors = 0;
  uint64_t bytes = 0;  // of weights written
};

/// Throws NoInputError, DataError or UnavailableError naming what cannot be imported, and
/// CannotCreateError where `out` exists.
ImportReport import_model(const fs::path& source, const fs::path& out,
                          const ImportOptions& options);

}  // namespace nibble
