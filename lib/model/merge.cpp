// SPDX-License-Identifier: Apache-2.0
#include "model/merge.h"

#include <algorithm>
#include <cstring>

#include "base/profile.h"
#include "model/adapter.h"
#include "model/float_rows.h"
#include "model/merged_weights.h"
#include "model/side_files.h"
#include "quant/device_parts.h"
#include "quant/quantize_folder.h"
#include "quant/storage.h"
#include "text/copy_tokenizer.h"

namespace nibble {
namespace {

std::optional<Dtype> dense_type(const std::string& type) {
  if (type == "f32") return Dtype::kF32;
  if (type == "f16") return Dtype::kF16;
  if (type == "bf16") return Dtype::kBf16;
  return std::nullopt;
}

std::optional<QuantizeOptions> quantized_type(const std::string& type) {
  if (type == "nf4") return QuantizeOptions{.type = QuantType::kNf4};
  if (type == "fp4") return QuantizeOptions{.type = QuantType::kFp4};
  if (type == "int8") return QuantizeOptions{.type = QuantType::kInt8};
  return std::nullopt;
}

constexpr int64_t kPartWeights = int64_t{1} << 22;

// One weight of the result: dense, or quantised with `options`.
struct Output {
  const MergedWeight* weight;
  Dtype dtype;  // as a dense tensor; quantised ones are rounded to it first
  std::optional<QuantizeOptions> options;
  const std::string& name() const { return weight->source.name; }
};

class Writer {
 public:
  Writer(Model& model, const MergeOptions& options) : model_(model), options_(options) {
    const bool quantized_before = model.config.quantization.has_value();
    skip_ = quantized_before ? model.config.quantization->skip_modules
                             : std::vector<std::string>{"lm_head"};
    model.config.tied_embeddings = stays_tied(model);
    if (const auto all = dense_type(options.type)) model.config.dtype = *all;
    const Device device = options.device;
    weights_ = merged_weights(model, device.on_cuda() ? &merging_.emplace(model) : nullptr);
    for (const MergedWeight& w : weights_) outputs_.push_back(output(w));
    if (merging_) lay_out(device);
    // Dense tensors by falling width of their elements, then quantised groups: all are aligned.
    std::stable_sort(outputs_.begin(), outputs_.end(), [](const Output& a, const Output& b) {
      const auto rank = [](const Output& o) { return o.options ? 0 : dtype_bytes(o.dtype); };
      return rank(a) > rank(b);
    });
  }

  Json config() const {
    Json out = dense_config(model_.config, model_.config.dtype);
    const auto first = std::find_if(outputs_.begin(), outputs_.end(),
                                    [](const Output& o) { return o.options.has_value(); });
    if (first == outputs_.end()) return out;
    std::vector<std::string> skip = skip_;
    const bool head = std::any_of(outputs_.begin(), outputs_.end(), [](const Output& o) {
      return o.options && o.name() == "lm_head.weight";
    });
    if (!head && !is_skipped("lm_head", skip)) skip.push_back("lm_head");
    out.set("quantization_config", quantization_config(*first->options, skip));
    return out;
  }

  void write(const fs::path& folder, MergeReport& report) {
    std::vector<TensorInfo> infos;
    for (const Output& o : outputs_) {
      if (!o.options) {
        infos.push_back(tensor_info(o.name(), o.dtype, o.weight->source.shape));
        continue;
      }
      const auto& shape = o.weight->source.shape;
      for (TensorInfo& info : quantized_tensors(o.name(), shape[0], shape[1], o.dtype, *o.options))
        infos.push_back(std::move(info));
    }
    for (const Output& o : outputs_)
      if (is_int8(o)) infos.push_back(weight_format_tensor(o.name()));
    TensorWriter writer(folder, infos, {{"format", "pt"}}, kMaxShardBytes);
    Span span("merge weights");
    for (const TensorInfo& info : infos) span.add(0.0, static_cast<double>(info.bytes));
    QuantizedTensor quantized;
    for (const Output& o : outputs_) {
      if (options_.progress) options_.progress(report.tensors++, outputs_.size(), o.name());
      if (o.options) {
        quantize_weight(o, quantized);
        forget(o);
        write_quantized(writer, o.name(), quantized);
      } else {
        write_weight(writer, o.weight->source, o.dtype, [&] { forget(o); });
      }
    }
    for (const Output& o : outputs_)
      if (is_int8(o)) write_weight_format(writer);
    writer.finish();
    report.tensors = outputs_.size();
    report.device_bytes = arena_.peak();
    for (const TensorInfo& info : infos) report.bytes += info.bytes;
  }

 private:
  // The panels' place on the device, and one for what is quantised there: one allocation.
  void lay_out(Device device) {
    PartBytes most;
    for (const Output& o : outputs_) {
      if (!o.options) continue;
      const WeightSource& s = o.weight->source;
      const int64_t rows = std::min(s.rows(), part_rows(*o.options, s.width(), kPartWeights));
      most.grow_to(PartBytes(*o.options, o.dtype, rows, s.width()));
    }
    arena_ = make_arena(device, [&](Arena& arena) {
      merging_->lay_out(arena);
      if (most.floats > 0) quantizing_.emplace(arena, 1, most);
    });
  }

  Output output(const MergedWeight& w) const {
    Output o{.weight = &w, .dtype = model_.config.dtype};
    const std::string& name = w.source.name;
    if (dense_type(options_.type)) return o;
    const std::string module = name.substr(0, name.rfind('.'));
    const auto chosen = quantized_type(options_.type);
    if (chosen && w.linear && !is_skipped(module, skip_)) o.options = chosen;
    if (!chosen) o.options = w.stored;
    // Beside quantised weights what is dense is of the model's own type, as transformers needs it;
    // else as the base stores it (a head that only the adapter has, as the embedding).
    if (w.stored || (!o.options && (chosen || model_.config.quantization))) return o;
    const StoredTensor* stored = model_.store->find(name);
    if (!stored) stored = &model_.store->at("model.embed_tokens.weight");
    o.dtype = stored->info.dtype;
    return o;
  }

  static bool is_int8(const Output& o) { return o.options && o.options->type == QuantType::kInt8; }

  // Rounded to the model's own type first, so that merging into dense weights and quantising them
  // gives the same.
  void quantize_weight(const Output& o, QuantizedTensor& out) {
    const WeightSource& source = o.weight->source;
    PartQuantizer parts(source.name, o.dtype, source.rows(), source.width(), *o.options, out);
    std::vector<std::byte> dense;
    const int64_t step = part_rows(*o.options, source.width(), kPartWeights);
    for (int64_t begin = 0; begin < source.rows(); begin += step) {
      const int64_t count = std::min(step, source.rows() - begin);
      dense.clear();
      copy_weight_rows(source, begin, count, o.dtype, [&](const void* data, size_t bytes) {
        const auto* p = static_cast<const std::byte*>(data);
        dense.insert(dense.end(), p, p + bytes);
      });
      quantize_rows(o, begin, make_tensor(dense.data(), o.dtype, {count, source.width()}), parts);
      forget(o);
    }
    parts.finish();
  }

  void quantize_rows(const Output& o, int64_t begin, const Tensor& rows, PartQuantizer& parts) {
    if (!quantizing_) return parts.add(rows);
    std::memcpy(quantizing_->floats(0), rows.data, rows.bytes());
    quantizing_->begin(0, *o.options, o.dtype, rows.dim(0), rows.dim(1));
    parts.take(begin, quantizing_->fetch(0));
  }

  // What was read of the base's weight: it may be larger than memory.
  void forget(const Output& o) const {
    const auto& all = model_.store->tensors();
    for (auto at = all.lower_bound(o.name()); at != all.end() && at->first.starts_with(o.name());
         ++at)
      at->second.file->forget(at->second.offset, at->second.bytes.size());
  }

  Model& model_;
  const MergeOptions& options_;
  std::vector<std::string> skip_;
  Arena arena_;  // of the device's memory
  std::optional<MergeDevice> merging_;
  std::optional<DeviceParts> quantizing_;
  std::vector<MergedWeight> weights_;
  std::vector<Output> outputs_;
};

void copy_files(const fs::path& model, const fs::path& adapter, const fs::path& out) {
  copy_side_files(model, out);
  if (!has_tokenizer(adapter)) return;
  remove_tokenizer_files(out);
  copy_tokenizer_files(adapter, out);
}

}  // namespace

MergeReport merge_adapter(const fs::path& model_folder, const fs::path& adapter,
                          const fs::path& out, const MergeOptions& options) {
  AtomicFolder folder(out);
  Model model = load_model(model_folder);
  std::optional<Span> span("load adapter");
  attach_adapter(model, adapter);
  const Arena arena = model.parameters.lay_out(Device{}, Dtype::kF32, false);
  load_adapter_weights(adapter, model);
  span.reset();

  MergeReport report;
  for (const Projection* p : model.projections()) report.adapted += p->lora_a >= 0;
  report.replaced = model.parameters.all().size() - 2 * report.adapted;
  Writer writer(model, options);
  const Json config = writer.config();
  report.config = parse_model_config(config, out.string());
  copy_files(model_folder, adapter, folder.working());
  write_text_file(folder.working() / "config.json", config.dump(2) + "\n");
  writer.write(folder.working(), report);
  folder.commit();
  return report;
}

}  // namespace nibble
