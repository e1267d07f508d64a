// SPDX-License-Identifier: Apache-2.0
#include "quant/quantize_folder.h"

#include <algorithm>

#include "base/quote.h"
#include "io/json.h"
#include "quant/folder_pieces.h"
#include "quant/storage.h"

namespace nibble {
namespace {

bool is_float(Dtype dtype) {
  return dtype == Dtype::kF32 || dtype == Dtype::kF16 || dtype == Dtype::kBf16;
}

/// The file's matrix as a whole, copied where it is not aligned for its type.
Tensor matrix_of(const StoredTensor& t, std::vector<std::byte>& copy) {
  const std::byte* data = t.bytes.data();
  if (reinterpret_cast<uintptr_t>(data) % dtype_bytes(t.info.dtype) != 0) {
    copy.assign(t.bytes.begin(), t.bytes.end());
    data = copy.data();
  }
  return make_tensor(const_cast<std::byte*>(data), t.info.dtype,
                     {t.info.shape[0], t.info.shape[1]});
}

/// What is written, in order: dense tensors by falling width of their elements, so that each is
/// aligned, then the quantised groups.
struct Plan {
  std::vector<FolderTensor> dense, quantized;
  std::vector<TensorInfo> infos;
};

/// The model's own type, where config.json says it.
std::optional<Dtype> float_type(const Json& config) {
  for (const char* key : {"dtype", "torch_dtype"})
    if (const Json* type = config.find(key); type && type->is_string())
      if (const auto known = dtype_from_torch_name(type->as_string())) return known;
  return {};
}

Plan make_plan(const TensorStore& store, const QuantizeFolder& job, std::optional<Dtype> floats) {
  Plan plan;
  for (const auto& [name, tensor] : store.tensors()) {
    const Dtype dtype = tensor.info.dtype;
    if (!job.selects(name)) {
      plan.dense.push_back({&tensor, is_float(dtype) ? floats.value_or(dtype) : dtype});
      continue;
    }
    const std::vector<int64_t>& shape = tensor.info.shape;
    const bool matrix = shape.size() == 2 && shape[0] > 0 && shape[1] > 0;
    if (!matrix || !is_float(dtype))
      throw DataError(cat(tensor.file->path().string(), ": tensor ", quote(name),
                          ": no matrix of F32, F16 or BF16; nibble-import makes it one"));
    plan.quantized.push_back({&tensor, std::nullopt});
  }
  if (plan.quantized.empty())
    throw DataError(cat(job.source.string(),
                        ": holds no linear layer to quantise; check --skip and the model"));
  std::stable_sort(plan.dense.begin(), plan.dense.end(),
                   [](const FolderTensor& a, const FolderTensor& b) {
                     return dtype_bytes(*a.dense) > dtype_bytes(*b.dense);
                   });
  for (const FolderTensor& t : plan.dense)
    plan.infos.push_back(tensor_info(t.stored->info.name, *t.dense, t.stored->info.shape));
  for (const FolderTensor& t : plan.quantized) {
    const TensorInfo& from = t.stored->info;
    for (TensorInfo& info :
         quantized_tensors(from.name, from.shape[0], from.shape[1], from.dtype, job.options))
      plan.infos.push_back(std::move(info));
  }
  if (job.options.type == QuantType::kInt8)
    for (const FolderTensor& t : plan.quantized)
      plan.infos.push_back(weight_format_tensor(t.stored->info.name));
  return plan;
}

Json read_config(const QuantizeFolder& job) {
  const fs::path path = job.source / "config.json";
  Json config = read_json_file(path);
  if (!config.is_object()) throw DataError(cat(path.string(), ": no JSON object"));
  if (const Json* q = config.find("quantization_config"); q && !q->is_null())
    throw DataError(
        cat(path.string(), ": the model is quantised already; start from its dense weights"));
  return config;
}

}  // namespace

bool is_skipped(std::string_view module, const std::vector<std::string>& skip) {
  return std::any_of(skip.begin(), skip.end(), [&](const std::string& entry) {
    const bool starts =
        module.starts_with(entry) && (module.size() == entry.size() || module[entry.size()] == '.');
    return starts || module.ends_with(entry);
  });
}

QuantizeFolderReport quantize_folder(const QuantizeFolder& job) {
  check_options(job.options);
  Json config = read_config(job);
  const std::optional<Dtype> floats = float_type(config);
  config.set("quantization_config", quantization_config(job.options, job.skip));
  write_text_file(job.folder / "config.json", config.dump(2) + "\n");
  const TensorStore store(job.source);
  const Plan plan = make_plan(store, job, floats);
  TensorWriter writer(job.folder, plan.infos, {{"format", "pt"}}, job.max_shard_bytes);
  QuantizeFolderReport report;
  const size_t total = plan.dense.size() + plan.quantized.size();
  const auto begin = [&](const FolderTensor& t) {
    if (job.progress) job.progress(report.dense + report.quantized, total, t.stored->info.name);
    report.bytes_before += t.stored->bytes.size();
    ++(t.dense ? report.dense : report.quantized);
  };
  std::vector<FolderTensor> all = plan.dense;
  all.insert(all.end(), plan.quantized.begin(), plan.quantized.end());
  PieceWriter pieces(store, job.options, writer, begin);
  if (job.device.on_cuda()) report.device_bytes = pieces.use_device(job.device, all);
  if (job.report) {
    pieces.write(plan.dense);
    std::vector<std::byte> copy;
    for (const FolderTensor& t : plan.quantized) {
      const QuantizedTensor made = pieces.write_and_keep(t);
      job.report(t.stored->info.name,
                 quantization_error(matrix_of(*t.stored, copy), made.matrix()));
      t.stored->file->forget(t.stored->offset, t.stored->bytes.size());
    }
  } else {
    pieces.write(all);
  }
  if (job.options.type == QuantType::kInt8)
    for (size_t i = 0; i < plan.quantized.size(); ++i) write_weight_format(writer);
  writer.finish();
  for (const TensorInfo& info : plan.infos) report.bytes_after += info.bytes;
  return report;
}

}  // namespace nibble
