// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/quote.h"
#include "model/import_sources.h"
#include "model/stored_weight.h"

namespace nibble {
namespace {

constexpr size_t kPart = size_t{4} << 20;

OutgoingTensor verbatim(const StoredTensor& t) {
  return {.info = t.info, .copy = [&t](const ByteSink& sink) {
            for (size_t at = 0; at < t.bytes.size(); at += kPart) {
              sink(t.bytes.data() + at, std::min(kPart, t.bytes.size() - at));
              t.file->forget(t.offset, t.bytes.size());
            }
          }};
}

void refuse_other_storage(const fs::path& source) {
  for (const char* name : {"model.safetensors", "model.safetensors.index.json"})
    if (input_exists(source / name)) return;
  for (const char* name : {"pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5",
                           "flax_model.msgpack", "consolidated.00.pth"})
    if (input_exists(source / name))
      throw UnavailableError(cat((source / name).string(),
                                 ": not supported; fetch the model's safetensors files instead"));
}

}  // namespace

ImportReport import_folder(const fs::path& source, const fs::path& folder,
                           const ImportOptions& options) {
  ImportReport report;
  report.source = "Hugging Face folder";
  report.config = load_model_config(source);
  ModelConfig& config = report.config;
  if (config.quantization && options.dtype)
    throw UsageError(cat(source.string(),
                         ": is quantised and passed through as it is; leave out "
                         "--dtype, or dequantise it with nibble-export"));
  refuse_other_storage(source);
  const TensorStore store(source);
  QuantizedTables tables;
  std::vector<OutgoingTensor> tensors;
  std::set<std::string> used;
  for (const WeightSpec& spec : model_weights(config)) {
    FloatRows rows = stored_weight(store, spec, config, tables);  // checks every part
    const StoredTensor& t = store.at(spec.name);
    used.insert(spec.name);
    if (config.quantization && spec.linear && is_quantized(store, spec.name)) {
      tensors.push_back(verbatim(t));
      for (const auto& [name, companion] : store.tensors())
        if (is_quantization_companion(name) && quantized_owner(name) == spec.name) {
          used.insert(name);
          tensors.push_back(verbatim(companion));
        }
    } else {
      tensors.push_back(
          converted(spec.name, options.dtype.value_or(t.info.dtype), spec.shape, std::move(rows)));
    }
  }
  for (const auto& [name, t] : store.tensors())
    if (!used.contains(name) && !is_ignorable_tensor(name, config))
      throw UnavailableError(cat(t.file->path().string(), ": tensor ", quote(name),
                                 " has no place in this family of models, which is not supported"));
  if (config.quantization) report.source += ", quantised by bitsandbytes";

  Json document = config.raw;
  if (options.dtype) {
    const bool newer = document.find("dtype") != nullptr;
    document.set(newer ? "dtype" : "torch_dtype", torch_name(*options.dtype));
    config.dtype = *options.dtype;
  }
  write_text_file(folder / "config.json", document.dump(2) + "\n");
  copy_side_files(source, folder);
  write_tensors(tensors, folder, options, report);
  return report;
}

}  // namespace nibble
