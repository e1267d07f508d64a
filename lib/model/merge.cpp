// SPDX-License-Identifier: Apache-2.0
#include "model/merge.h"

#include <algorithm>
#include <optional>

#include "kernels/elementwise.h"
#include "kernels/matmul.h"
#include "model/adapter.h"
#include "text/copy_tokenizer.h"
#include "model/import_sources.h"
#include "model/model_writer.h"

namespace nibble {
namespace {

// The weights of a model with its adapter, as sources of panels.
class Merger {
 public:
  explicit Merger(const Model& model) : model_(model), parameters_(model.parameters) {}

  /// All tensors in the order of model_weights.
  std::vector<WeightSource> sources() const {
    std::vector<WeightSource> out;
    out.push_back(table(model_.embedding));
    for (const Block& b : model_.blocks) {
      out.push_back(table(b.attention_norm));
      for (const LinearGroup* g : {&b.qkv, &b.output}) group(*g, out);
      for (const Table* t : {&b.q_norm, &b.k_norm})
        if (t->weight) out.push_back(table(*t));
      out.push_back(table(b.mlp_norm));
      for (const LinearGroup* g : {&b.gate_up, &b.down}) group(*g, out);
    }
    out.push_back(table(model_.norm));
    if (!is_tied()) out.push_back(weight(model_.head));
    return out;
  }

  /// Whether embedding and head are still one.
  bool is_tied() const {
    if (!model_.config.tied_embeddings) return false;
    const Tensor embedding = value(model_.embedding.parameter, model_.embedding.weight);
    const Tensor head = value(model_.head.weight_parameter, model_.head.weight);
    if (embedding.data == head.data) return true;
    return equal_values(embedding, head);
  }

 private:
  Tensor value(int parameter, const Tensor& stored) const {
    return parameter >= 0 ? parameters_.value(parameter) : stored;
  }

  static bool equal_values(const Tensor& a, const Tensor& b) {
    if (a.dim(0) != b.dim(0)) return false;
    const WeightSource left = dense_source("", a), right = dense_source("", b);
    const int64_t part = panel_rows(left), width = left.width();
    std::vector<float> x(static_cast<size_t>(part * width)), y(x.size());
    for (int64_t begin = 0; begin < left.rows(); begin += part) {
      const int64_t count = std::min(part, left.rows() - begin);
      left.fill(begin, view(x.data(), {count, width}));
      right.fill(begin, view(y.data(), {count, width}));
      if (!std::equal(x.begin(), x.begin() + count * width, y.begin())) return false;
    }
    return true;
  }

  WeightSource table(const Table& t) const {
    return dense_source(t.name + ".weight", value(t.parameter, t.weight));
  }

  void group(const LinearGroup& g, std::vector<WeightSource>& out) const {
    for (const Projection& p : g.parts) {
      out.push_back(weight(p));
      if (const Tensor bias = value(p.bias_parameter, p.bias))
        out.push_back(dense_source(p.name + ".bias", bias));
    }
  }

  WeightSource weight(const Projection& p) const {
    if (p.weight_parameter >= 0)
      return dense_source(p.name + ".weight", parameters_.value(p.weight_parameter));
    WeightSource source = p.quantized ? quantized(p) : dense_source(p.name + ".weight", p.weight);
    if (p.lora_a >= 0)
      source.fill = [this, &p, base = std::move(source.fill)](int64_t begin, const Tensor& out) {
        base(begin, out);
        add_adapter(p, begin, out);
      };
    return source;
  }

  static WeightSource quantized(const Projection& p) {
    return {.name = p.name + ".weight",
            .shape = {p.out_features, p.in_features},
            .fill = [&p](int64_t begin, const Tensor& out) {
              dequantize({.out = out, .matrix = *p.quantized, .first_row = begin});
            }};
  }

  // out += scale * B A, of these rows.
  void add_adapter(const Projection& p, int64_t begin, const Tensor& out) const {
    Matmul product{.out = out,
                   .a = rows(parameters_.value(p.lora_b), begin, out.dim(0)),
                   .b = parameters_.value(p.lora_a),
                   .alpha = p.lora_scale,
                   .beta = 1.0f};
    std::vector<float> scratch(static_cast<size_t>(matmul_scratch_elements(product)));
    product.scratch = view(scratch.data(), {static_cast<int64_t>(scratch.size())});
    matmul(product);
  }

  const Model& model_;
  const ParameterSet& parameters_;
};

std::optional<Dtype> dense_type(const std::string& type) {
  if (type == "f32") return Dtype::kF32;
  if (type == "f16") return Dtype::kF16;
  if (type == "bf16") return Dtype::kBf16;
  return std::nullopt;
}

// "keep": as the base stores it; a quantised one, or one that only the adapter has, in the model's
// own type.
Dtype kept_type(const Model& model, const std::string& name) {
  const StoredTensor* stored = model.store->find(name);
  if (!stored) stored = model.store->find("model.embed_tokens.weight");
  const Dtype d = stored->info.dtype;
  return d == Dtype::kF32 || d == Dtype::kF16 || d == Dtype::kBf16 ? d : model.config.dtype;
}

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
  if (model.config.quantization && options.type == "keep")
    throw UnavailableError(cat(model_folder.string(),
                               ": quantised; merge into dense weights with "
                               "--type=bf16"));
  attach_adapter(model, adapter);
  Arena measure;
  ParameterSet(model.parameters).lay_out(measure, Dtype::kF32, false);
  Arena arena(measure.peak());
  model.parameters.lay_out(arena, Dtype::kF32, false);
  load_adapter_weights(adapter, model);

  MergeReport report;
  for (const Projection* p : model.projections()) report.adapted += p->lora_a >= 0;
  report.replaced = model.parameters.all().size() - 2 * report.adapted;
  const Merger merger(model);
  const auto sources = merger.sources();
  model.config.tied_embeddings = merger.is_tied();
  const auto all = dense_type(options.type);
  if (all) model.config.dtype = *all;
  copy_files(model_folder, adapter, folder.working());
  const Json config = dense_config(model.config, model.config.dtype);
  report.config = parse_model_config(config, out.string());
  write_text_file(folder.working() / "config.json", config.dump(2) + "\n");

  std::vector<TensorInfo> infos;
  for (const WeightSource& s : sources)
    infos.push_back(tensor_info(s.name, all ? *all : kept_type(model, s.name), s.shape));
  TensorWriter writer(folder.working(), infos, {{"format", "pt"}}, kMaxShardBytes);
  for (size_t i = 0; i < sources.size(); ++i) {
    if (options.progress) options.progress(i, sources.size(), sources[i].name);
    write_weight(writer, sources[i], infos[i].dtype);
    if (const StoredTensor* t = model.store->find(sources[i].name))
      t->file->forget(t->offset, t->bytes.size());
    report.bytes += infos[i].bytes;
  }
  writer.finish();
  report.tensors = sources.size();
  folder.commit();
  return report;
}

}  // namespace nibble
