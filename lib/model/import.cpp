// SPDX-License-Identifier: Apache-2.0
#include "model/import.h"

#include "base/error.h"
#include "model/import_sources.h"

namespace nibble {
namespace {

bool is_gguf(const fs::path& path) {
  return MappedFile(path).text().starts_with("GGUF");
}

}  // namespace

OutgoingTensor converted(std::string name, Dtype dtype, std::vector<int64_t> shape,
                         FloatRows rows) {
  return {.info = tensor_info(std::move(name), dtype, std::move(shape)),
          .copy = [rows = std::move(rows), to = ggml_type_of(dtype)](const ByteSink& sink) {
            copy_rows(rows, to, sink);
          }};
}

void write_tensors(const std::vector<OutgoingTensor>& tensors, const fs::path& folder,
                   const ImportOptions& options, ImportReport& report) {
  std::vector<TensorInfo> infos;
  for (const OutgoingTensor& t : tensors) infos.push_back(t.info);
  TensorWriter writer(folder, infos, {{"format", "pt"}}, options.max_shard_bytes);
  for (const OutgoingTensor& t : tensors) {
    if (options.progress) options.progress(report.tensors, tensors.size(), t.info.name);
    t.copy([&](const void* data, size_t bytes) { writer.write(data, bytes); });
    ++report.tensors;
    report.bytes += t.info.bytes;
  }
  writer.finish();
}

ModelConfig write_config(Json config, std::optional<int32_t> bos, const std::vector<int32_t>& stops,
                         std::optional<int32_t> pad, const fs::path& folder,
                         const std::string& source) {
  Json generation = Json::object({{"_from_model_config", true}});
  const auto set = [&](std::string_view name, Json value) {
    config.set(name, value);
    generation.set(name, std::move(value));
  };
  if (bos) set("bos_token_id", int64_t{*bos});
  if (stops.size() == 1) set("eos_token_id", int64_t{stops[0]});
  if (stops.size() > 1) set("eos_token_id", Json::Array(stops.begin(), stops.end()));
  if (pad) set("pad_token_id", int64_t{*pad});
  // Parsed first: what cannot be run is refused by the source's name.
  ModelConfig parsed = parse_model_config(config, source);
  write_text_file(folder / "config.json", config.dump(2) + "\n");
  write_text_file(folder / "generation_config.json", generation.dump(2) + "\n");
  return parsed;
}

ImportReport import_model(const fs::path& source, const fs::path& out,
                          const ImportOptions& options) {
  if (!input_exists(source))
    throw NoInputError(cat(source.string(), ": no such file or folder; check the path"));
  AtomicFolder folder(out);
  const bool is_folder = is_input_folder(source);
  ImportReport report = is_folder         ? import_folder(source, folder.working(), options)
                        : is_gguf(source) ? import_gguf(source, folder.working(), options)
                                          : import_llama2c(source, folder.working(), options);
  folder.commit();
  return report;
}

}  // namespace nibble
