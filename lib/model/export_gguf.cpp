// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/profile.h"
#include "model/export.h"
#include "model/gguf_config.h"
#include "model/gguf_names.h"
#include "model/gguf_vocab.h"
#include "model/stored_weight.h"
#include "model/tokenizer_files.h"

namespace nibble {
namespace {

// llama.cpp's llama_ftype.
uint32_t file_type(GgmlType type) {
  switch (type) {
    case GgmlType::kF32:
      return 0;
    case GgmlType::kF16:
      return 1;
    case GgmlType::kQ4_0:
      return 2;
    case GgmlType::kQ4_1:
      return 3;
    case GgmlType::kQ8_0:
      return 7;
    default:
      return 32;  // BF16
  }
}

uint32_t size32(int64_t n) {
  CHECK(n >= 0 && n <= UINT32_MAX);
  return static_cast<uint32_t>(n);
}

GgufMetadata model_metadata(const ModelConfig& c, const std::string& name, GgmlType type) {
  const std::string a = gguf_architecture(c);
  GgufMetadata m;
  m.string("general.architecture", a);
  m.string("general.type", "model");
  m.string("general.name", name);
  m.u32("general.file_type", file_type(type));
  m.u32("general.quantization_version", 2);
  m.u32(a + ".vocab_size", size32(c.vocab_size));
  m.u32(a + ".context_length", size32(c.max_position));
  m.u32(a + ".embedding_length", size32(c.hidden_size));
  m.u32(a + ".block_count", size32(c.layers));
  m.u32(a + ".feed_forward_length", size32(c.intermediate_size));
  m.u32(a + ".attention.head_count", size32(c.heads));
  m.u32(a + ".attention.head_count_kv", size32(c.kv_heads));
  m.u32(a + ".attention.key_length", size32(c.head_dim));
  m.u32(a + ".attention.value_length", size32(c.head_dim));
  m.f32(a + ".attention.layer_norm_rms_epsilon", static_cast<float>(c.norm_eps));
  m.u32(a + ".rope.dimension_count", size32(c.head_dim));
  m.f32(a + ".rope.freq_base", static_cast<float>(c.rope.theta));
  if (c.rope.scaling == RopeScaling::kLinear) {
    m.string(a + ".rope.scaling.type", "linear");
    m.f32(a + ".rope.scaling.factor", static_cast<float>(c.rope.factor));
  }
  if (c.window > 0) m.u32(a + ".attention.sliding_window", size32(c.window));
  return m;
}

void refuse_inexpressible(const ModelConfig& c, const fs::path& model, ExportReport& report) {
  if (c.family == "qwen3" && c.output_bias)
    throw UnavailableError(cat(model.string(),
                               ": Qwen3 with attention biases is not supported by "
                               "llama.cpp; export a folder instead"));
  if (std::any_of(c.layer_window.begin(), c.layer_window.end(), [](int64_t w) { return w > 0; }))
    throw UnavailableError(cat(model.string(),
                               ": Qwen's sliding window is not supported by "
                               "llama.cpp; export a folder instead"));
  if (c.window > 0)
    report.notes.push_back(cat("llama.cpp has no sliding window for Mistral: beyond ", c.window,
                               " tokens its answers differ"));
}

GgmlType stored_type(const WeightSpec& spec, GgmlType wanted) {
  if (spec.shape.size() == 1) return GgmlType::kF32;
  GgmlType type = wanted;
  const bool outer = spec.name == "model.embed_tokens.weight" || spec.name == "lm_head.weight";
  if (outer && (wanted == GgmlType::kQ4_0 || wanted == GgmlType::kQ4_1)) type = GgmlType::kQ8_0;
  return spec.shape.back() % ggml_type_info(type).block == 0 ? type : GgmlType::kF16;
}

}  // namespace

std::string gguf_architecture(const ModelConfig& config) {
  return config.family == "mistral" ? "llama" : config.family;
}

ExportReport export_gguf(const fs::path& model, const fs::path& out, const ExportOptions& options) {
  ExportReport report;
  const ModelConfig config = load_model_config(model);
  refuse_inexpressible(config, model, report);
  const GgmlType type = options.type.value_or(ggml_type_of(config.dtype));
  const std::string architecture = gguf_architecture(config);
  const fs::path named = model.has_filename() ? model : model.parent_path();
  GgufMetadata metadata = model_metadata(config, named.filename().string(), type);
  std::optional<Span> span("read vocabulary");
  write_gguf_vocab(read_tokenizer_files(model, config), metadata);
  span.reset();

  const TensorStore store(model);
  QuantizedTables tables;
  const std::vector<WeightSpec> specs = model_weights(config);
  std::vector<GgufTensorInfo> infos;
  std::vector<FloatRows> sources;
  size_t unblocked = 0;
  for (const WeightSpec& spec : specs) {
    FloatRows rows = stored_weight(store, spec, config, tables);
    if (rows_interleave(architecture, spec.name)) {
      if (spec.shape.size() == 1) rows = single_elements(std::move(rows));
      rows = reordered_rows(std::move(rows),
                            [d = config.head_dim](int64_t row) { return split_row(row, d); });
    }
    infos.push_back({gguf_name(spec.name).value_or(""), stored_type(spec, type), spec.shape});
    CHECK(!infos.back().name.empty());
    unblocked += infos.back().type == GgmlType::kF16 && type != GgmlType::kF16;
    sources.push_back(std::move(rows));
  }
  std::vector<float> factors;
  if (config.rope.scaling == RopeScaling::kLlama3) {
    factors = llama3_rope_factors(config.rope, config.head_dim);
    infos.push_back({"rope_freqs.weight", GgmlType::kF32, {config.head_dim / 2}});
    sources.push_back(stored_rows("rope_freqs.weight", GgmlType::kF32,
                                  reinterpret_cast<const std::byte*>(factors.data()), 1,
                                  config.head_dim / 2));
  }
  if (unblocked > 0)
    report.notes.push_back(cat(unblocked, " tensors have rows that are no whole blocks of ",
                               ggml_type_info(type).name, " and are stored as F16"));

  GgufWriter writer(out, metadata, infos);
  for (size_t i = 0; i < infos.size(); ++i) {
    if (options.progress) options.progress(i, infos.size(), infos[i].name);
    copy_rows(sources[i], infos[i].type,
              [&](const void* data, size_t bytes) { writer.write(data, bytes); });
    report.bytes += gguf_tensor_bytes(infos[i]);
    ++report.tensors;
  }
  writer.commit();
  return report;
}

}  // namespace nibble
