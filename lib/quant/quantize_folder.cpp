// SPDX-License-Identifier: Apache-2.0
#include "quant/quantize_folder.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "base/checked.h"
#include "base/quote.h"
#include "io/json.h"
#include "io/write_behind.h"
#include "quant/storage.h"

namespace nibble {
namespace {

constexpr size_t kPart = size_t{4} << 20;

bool is_float(Dtype dtype) {
  return dtype == Dtype::kF32 || dtype == Dtype::kF16 || dtype == Dtype::kBf16;
}

/// Rows [begin, begin + count) of the file's matrix, copied where they are not aligned for their
/// type.
Tensor matrix_of(const StoredTensor& t, int64_t begin, int64_t count,
                 std::vector<std::byte>& copy) {
  const size_t row = static_cast<size_t>(t.info.shape[1]) * dtype_bytes(t.info.dtype);
  const auto bytes =
      t.bytes.subspan(static_cast<size_t>(begin) * row, static_cast<size_t>(count) * row);
  const std::byte* data = bytes.data();
  if (reinterpret_cast<uintptr_t>(data) % dtype_bytes(t.info.dtype) != 0) {
    copy.assign(bytes.begin(), bytes.end());
    data = copy.data();
  }
  return make_tensor(const_cast<std::byte*>(data), t.info.dtype, {count, t.info.shape[1]});
}

/// By parts, of which each is let go when it is done.
void quantize_stored(const StoredTensor& t, const QuantizeOptions& options,
                     std::vector<std::byte>& copy, QuantizedTensor& out) {
  const int64_t rows = t.info.shape[0];
  PartQuantizer parts(t.info.name, t.info.dtype, rows, t.info.shape[1], options, out);
  const int64_t step = parts.part_rows();
  for (int64_t begin = 0; begin < rows; begin += step) {
    parts.add(matrix_of(t, begin, std::min(step, rows - begin), copy));
    t.file->forget(t.offset, t.bytes.size());
  }
  parts.finish();
}

/// What is written, in order: dense tensors by falling width of their elements, so that each is
/// aligned, then the quantised groups.
struct Plan {
  std::vector<const StoredTensor*> dense, quantized;
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
    if (!job.selects(name)) {
      plan.dense.push_back(&tensor);
      continue;
    }
    const std::vector<int64_t>& shape = tensor.info.shape;
    const bool matrix = shape.size() == 2 && shape[0] > 0 && shape[1] > 0;
    if (!matrix || !is_float(tensor.info.dtype))
      throw DataError(cat(tensor.file->path().string(), ": tensor ", quote(name),
                          ": no matrix of F32, F16 or BF16; nibble-import makes it one"));
    plan.quantized.push_back(&tensor);
  }
  if (plan.quantized.empty())
    throw DataError(cat(job.source.string(),
                        ": holds no linear layer to quantise; check --skip and the model"));
  const auto type_of = [&](const StoredTensor* t) {
    return is_float(t->info.dtype) ? floats.value_or(t->info.dtype) : t->info.dtype;
  };
  std::stable_sort(plan.dense.begin(), plan.dense.end(),
                   [&](const StoredTensor* a, const StoredTensor* b) {
                     return dtype_bytes(type_of(a)) > dtype_bytes(type_of(b));
                   });
  for (const StoredTensor* t : plan.dense)
    plan.infos.push_back(tensor_info(t->info.name, type_of(t), t->info.shape));
  for (const StoredTensor* t : plan.quantized)
    for (TensorInfo& info : quantized_tensors(t->info.name, t->info.shape[0], t->info.shape[1],
                                              t->info.dtype, job.options))
      plan.infos.push_back(std::move(info));
  if (job.options.type == QuantType::kInt8)
    for (const StoredTensor* t : plan.quantized)
      plan.infos.push_back(weight_format_tensor(t->info.name));
  return plan;
}

float float_at(const StoredTensor& t, size_t i) {
  const auto read = [&]<class T>(T value) {
    std::memcpy(&value, t.bytes.data() + i * sizeof value, sizeof value);
    return to_float(value);
  };
  if (t.info.dtype == Dtype::kF32) return read(0.0f);
  return t.info.dtype == Dtype::kF16 ? read(f16{}) : read(bf16{});
}

template <class T>
void write_as(const StoredTensor& t, TensorWriter& writer) {
  std::vector<T> part;
  const size_t count = t.bytes.size() / dtype_bytes(t.info.dtype);
  for (size_t begin = 0; begin < count; begin += part.size()) {
    part.resize(std::min(kPart / sizeof(T), count - begin));
    for (size_t i = 0; i < part.size(); ++i) {
      const float value = float_at(t, begin + i);
      part[i] = from_float<T>(value);
      if (std::isfinite(value) && !std::isfinite(to_float(part[i])))
        throw DataError(cat(t.file->path().string(), ": tensor ", quote(t.info.name), ": element ",
                            begin + i, " is ", value, ", more than the model's type, ",
                            torch_name(dtype_of<T>), ", holds; set another in config.json"));
    }
    writer.write(part.data(), part.size() * sizeof(T));
    t.file->forget(t.offset, t.bytes.size());
  }
}

// What was written is let go at once: a tensor may be larger than memory.
void write_part(const StoredTensor& t, size_t at, TensorWriter& writer) {
  writer.write(t.bytes.data() + at, std::min(kPart, t.bytes.size() - at));
  t.file->forget(t.offset, t.bytes.size());
}

void write_dense(const StoredTensor& t, TensorWriter& writer) {
  const Dtype to = writer.current()->dtype;
  if (to == t.info.dtype) {
    for (size_t at = 0; at < t.bytes.size(); at += kPart) write_part(t, at, writer);
  } else if (to == Dtype::kF32) {
    write_as<float>(t, writer);
  } else {
    to == Dtype::kF16 ? write_as<f16>(t, writer) : write_as<bf16>(t, writer);
  }
  t.file->forget(t.offset, t.bytes.size());
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
  const auto begin = [&](const StoredTensor& t) {
    if (job.progress) job.progress(report.dense + report.quantized, total, t.info.name);
    report.bytes_before += t.bytes.size();
  };
  // Declared after what its work refers to, so that it has ended before that is gone.
  WriteBehind behind;
  for (const StoredTensor* t : plan.dense) {
    begin(*t);
    behind.add(0, [t, &writer] { write_dense(*t, writer); });
    ++report.dense;
  }
  std::vector<std::byte> copy;
  for (const StoredTensor* t : plan.quantized) {
    begin(*t);
    const auto quantized = std::make_shared<QuantizedTensor>();
    quantize_stored(*t, job.options, copy, *quantized);
    if (job.report)
      job.report(t->info.name,
                 quantization_error(matrix_of(*t, 0, t->info.shape[0], copy), quantized->matrix()));
    behind.add(quantized->codes.size(),
               [t, &writer, quantized] { write_quantized(writer, t->info.name, *quantized); });
    t->file->forget(t->offset, t->bytes.size());
    ++report.quantized;
  }
  behind.finish();
  if (job.options.type == QuantType::kInt8)
    for (size_t i = 0; i < plan.quantized.size(); ++i) write_weight_format(writer);
  writer.finish();
  for (const TensorInfo& info : plan.infos) report.bytes_after += info.bytes;
  return report;
}

}  // namespace nibble
