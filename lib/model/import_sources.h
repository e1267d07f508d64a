// SPDX-License-Identifier: Apache-2.0
// The kinds of source behind import_model, one file each. Each fills `folder` and reports; none
// leaves anything elsewhere.
#pragma once

#include <memory>
#include <vector>

#include "io/gguf.h"
#include "io/safetensors.h"
#include "model/float_rows.h"
#include "model/import.h"
#include "model/side_files.h"

namespace nibble {

ImportReport import_gguf(const fs::path& source, const fs::path& folder, const ImportOptions&);
ImportReport import_folder(const fs::path& source, const fs::path& folder, const ImportOptions&);
ImportReport import_llama2c(const fs::path& source, const fs::path& folder, const ImportOptions&);

/// A tensor to be written: what it is and how its bytes come, checked on the way.
struct OutgoingTensor {
  TensorInfo info;
  std::function<void(const ByteSink& sink)> copy;
};

/// One whose rows are converted to `dtype`.
OutgoingTensor converted(std::string name, Dtype dtype, std::vector<int64_t> shape, FloatRows rows);

/// Writes the tensors in order as safetensors, and adds to the report.
void write_tensors(const std::vector<OutgoingTensor>& tensors, const fs::path& folder,
                   const ImportOptions& options, ImportReport& report);

/// Writes config.json and generation_config.json, and parses the first.
ModelConfig write_config(Json config, std::optional<int32_t> bos, const std::vector<int32_t>& stops,
                         std::optional<int32_t> pad, const fs::path& folder,
                         const std::string& source);

}  // namespace nibble
