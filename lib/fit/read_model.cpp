// SPDX-License-Identifier: Apache-2.0
#include "fit/read_model.h"

#include "fit/weight_bytes.h"
#include "model/gguf_config.h"

namespace nibble {
namespace {

std::string name_of(fs::path path) {
  if (!path.has_filename()) path = path.parent_path();
  return path.filename().string();
}

bool is_gguf(const fs::path& path) {
  const MappedFile file(path);
  return file.text().starts_with("GGUF");
}

}  // namespace

DescribedModel describe_model(const fs::path& path) {
  DescribedModel out{.name = name_of(path)};
  if (is_input_folder(path)) {
    out.config = load_model_config(path);
    check_countable(out.config, (path / "config.json").string());
    if (input_exists(path / "model.safetensors") ||
        input_exists(path / "model.safetensors.index.json")) {
      out.stored = load_model(path);
      // What is stored may be of another type than config.json says.
      out.config.dtype = out.stored->embedding.weight.dtype;
    }
  } else if (is_gguf(path)) {
    const GgufFile file(path);
    out.config = parse_model_config(config_from_gguf(file, Dtype::kBf16), path.string());
    out.config.dtype = Dtype::kBf16;
    check_countable(out.config, path.string());
  } else {
    out.config = parse_model_config(read_json_file(path), path.string());
    check_countable(out.config, path.string());
  }
  return out;
}

}  // namespace nibble
