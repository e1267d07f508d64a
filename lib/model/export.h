// SPDX-License-Identifier: Apache-2.0
// Export: a model folder, dense or quantised by bitsandbytes, as what other programs run:
//   a GGUF file for llama.cpp, tokenizer and chat template in its metadata
//   a dense Hugging Face folder, sharded
//   an adapter alone as GGUF, for llama.cpp's --lora
// Weights stream. Outputs appear whole or not at all.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "io/gguf_blocks.h"
#include "model/config.h"

namespace nibble {

struct ExportOptions {
  /// Nothing: the model's own float type (an adapter: F32).
  std::optional<GgmlType> type;
  size_t max_shard_bytes = 5'000'000'000;  // folders
  std::function<void(size_t done, size_t total, const std::string& name)> progress;
};

struct ExportReport {
  size_t tensors = 0;
  uint64_t bytes = 0;
  std::vector<std::string> notes;  // what the reader of the file should know
};

/// Matrices become `type`: for Q4_0 and Q4_1, embedding and head become Q8_0, as llama.cpp's own
/// files have them; rows that are no whole blocks become F16. Vectors stay F32. Throws
/// UnavailableError naming what GGUF or llama.cpp cannot express.
ExportReport export_gguf(const fs::path& model, const fs::path& out, const ExportOptions& options);

/// `type` is F32, F16 or BF16.
ExportReport export_folder(const fs::path& model, const fs::path& out,
                           const ExportOptions& options);

/// `type` is F32, F16 or BF16. The base model says how large the adapted layers are.
ExportReport export_adapter(const fs::path& model, const fs::path& adapter, const fs::path& out,
                            const ExportOptions& options);

/// The architecture under which llama.cpp runs a family: Mistral is "llama".
std::string gguf_architecture(const ModelConfig& config);

}  // namespace nibble
