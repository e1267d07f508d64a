// SPDX-License-Identifier: Apache-2.0
#include "model/digest.h"

#include <algorithm>

#include "io/crc32c.h"
#include "text/sha256.h"

namespace nibble {
namespace {

constexpr size_t kSample = 4096;

void append_tensors(std::string& text, const TensorStore& store) {
  for (const auto& [name, t] : store.tensors()) {
    text += cat(name, " ", dtype_name(t.info.dtype));
    for (const int64_t d : t.info.shape) text += cat(" ", d);
    const size_t part = std::min(kSample, t.bytes.size());
    const uint32_t head = crc32c(t.bytes.data(), part);
    text += cat(" ", crc32c(t.bytes.last(part).data(), part, head), "\n");
  }
}

std::string digest(const std::string& text) {
  return sha256_hex(text).substr(0, 16);
}

}  // namespace

std::string model_digest(const Model& model) {
  Json config = model.config.raw;
  config.erase("transformers_version");
  config.erase("_name_or_path");
  std::string text = config.dump() + "\n";
  append_tensors(text, *model.store);
  return digest(text);
}

std::string adapter_digest(const fs::path& folder) {
  std::string text;
  append_tensors(text, TensorStore(folder / "adapter_model.safetensors"));
  return digest(text);
}

}  // namespace nibble
