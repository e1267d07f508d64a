// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <map>

#include "base/error.h"
#include "base/quote.h"
#include "io/gguf.h"
#include "model/adapter.h"
#include "model/export.h"
#include "model/gguf_names.h"
#include "model/stored_weight.h"

namespace nibble {
namespace {

// llama.cpp adds lora_b (lora_a x) times alpha / rank, one alpha for the whole file: where a
// layer's own scale differs (rank-stabilised, patterns), its lora_b takes the rest.
float rest_of_scale(const Projection& p, int64_t rank, double alpha) {
  if (p.lora_scale == 0.0f) return 0.0f;  // alpha may be 0 too
  const double given = alpha / static_cast<double>(rank);
  return static_cast<float>(static_cast<double>(p.lora_scale) / given);
}

struct Part {
  GgufTensorInfo info;
  FloatRows rows;
};

FloatRows parameter_rows(const Model& model, int index, float factor) {
  const Parameter& p = model.parameters.all()[static_cast<size_t>(index)];
  const float* values = model.parameters.value(index).as<float>();
  const int64_t width = p.shape[1];
  return {.name = quote(p.name, 160),
          .rows = p.shape[0],
          .row_elements = width,
          .row_bytes = static_cast<size_t>(width) * sizeof(float),
          .read = [values, width, factor](int64_t row, float* out) {
            for (int64_t i = 0; i < width; ++i) out[i] = values[row * width + i] * factor;
          }};
}

}  // namespace

ExportReport export_adapter(const fs::path& base, const fs::path& adapter, const fs::path& out,
                            const ExportOptions& options) {
  Model model = load_model(base);
  const LoraConfig config = attach_adapter(model, adapter);
  const Arena arena = model.parameters.lay_out(Device{}, Dtype::kF32, false);
  load_adapter_weights(adapter, model);

  const std::string architecture = gguf_architecture(model.config);
  const GgmlType type = options.type.value_or(GgmlType::kF32);
  std::vector<Part> parts;
  std::vector<bool> used(model.parameters.all().size(), false);
  for (Projection* p : model.projections()) {
    if (p->lora_a < 0) continue;
    const int64_t rank = lora_rank(*p, model.parameters);
    const std::string name = gguf_name(p->name + ".weight").value_or("");
    CHECK(!name.empty());
    FloatRows b = parameter_rows(model, p->lora_b, rest_of_scale(*p, rank, config.alpha));
    if (rows_interleave(architecture, p->name + ".weight"))
      b = reordered_rows(std::move(b),
                         [d = model.config.head_dim](int64_t row) { return split_row(row, d); });
    parts.push_back(
        {{name + ".lora_a", type, {rank, p->in_features}}, parameter_rows(model, p->lora_a, 1.0f)});
    parts.push_back({{name + ".lora_b", type, {p->out_features, rank}}, std::move(b)});
    used[static_cast<size_t>(p->lora_a)] = used[static_cast<size_t>(p->lora_b)] = true;
  }
  for (size_t i = 0; i < used.size(); ++i)
    if (!used[i])
      throw UnavailableError(cat(adapter.string(), ": ", quote(model.parameters.all()[i].name),
                                 " is trained besides the adapters, which llama.cpp cannot load; "
                                 "merge with nibble-merge and export the model"));

  GgufMetadata metadata;
  metadata.string("general.architecture", architecture);
  metadata.string("general.type", "adapter");
  metadata.string("adapter.type", "lora");
  metadata.f32("adapter.lora.alpha", static_cast<float>(config.alpha));
  std::vector<GgufTensorInfo> infos;
  for (const Part& part : parts) infos.push_back(part.info);
  GgufWriter writer(out, metadata, infos);
  ExportReport report;
  for (const Part& part : parts) {
    if (options.progress) options.progress(report.tensors, parts.size(), part.info.name);
    copy_rows(part.rows, type, [&](const void* data, size_t bytes) { writer.write(data, bytes); });
    report.bytes += gguf_tensor_bytes(part.info);
    ++report.tensors;
  }
  writer.commit();
  return report;
}

}  // namespace nibble
