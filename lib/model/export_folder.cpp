// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"
#include "io/safetensors.h"
#include "model/export.h"
#include "model/model_writer.h"
#include "model/side_files.h"
#include "model/stored_weight.h"

namespace nibble {

ExportReport export_folder(const fs::path& model, const fs::path& out,
                           const ExportOptions& options) {
  ExportReport report;
  const ModelConfig config = load_model_config(model);
  const TensorStore store(model);
  QuantizedTables tables;
  std::vector<TensorInfo> infos;
  std::vector<FloatRows> sources;
  for (const WeightSpec& spec : model_weights(config)) {
    sources.push_back(stored_weight(store, spec, config, tables));
    const StoredTensor& t = store.at(spec.name);
    const bool quantized = config.quantization && spec.linear && is_quantized(store, spec.name);
    Dtype dtype = quantized ? config.dtype : t.info.dtype;
    if (options.type)
      dtype = *options.type == GgmlType::kF32   ? Dtype::kF32
              : *options.type == GgmlType::kF16 ? Dtype::kF16
                                                : Dtype::kBf16;
    infos.push_back(tensor_info(spec.name, dtype, spec.shape));
  }
  AtomicFolder folder(out);
  TensorWriter writer(folder.working(), infos, {{"format", "pt"}}, options.max_shard_bytes);
  for (size_t i = 0; i < infos.size(); ++i) {
    if (options.progress) options.progress(i, infos.size(), infos[i].name);
    copy_rows(sources[i], ggml_type_of(infos[i].dtype),
              [&](const void* data, size_t bytes) { writer.write(data, bytes); });
    report.bytes += infos[i].bytes;
    ++report.tensors;
  }
  writer.finish();
  Dtype main = config.dtype;
  if (options.type && !infos.empty()) main = infos[0].dtype;
  write_text_file(folder.working() / "config.json", dense_config(config, main).dump(2) + "\n");
  copy_side_files(model, folder.working());
  folder.commit();
  return report;
}

}  // namespace nibble
