// SPDX-License-Identifier: Apache-2.0
#include "model/merged_weights.h"

#include <algorithm>

#include "kernels/matmul.h"

namespace nibble {
namespace {

class Merger {
 public:
  explicit Merger(const Model& model, MergeDevice* device = nullptr)
      : model_(model), parameters_(model.parameters), device_(device) {}

  /// All tensors in the order of model_weights.
  std::vector<MergedWeight> weights() const {
    std::vector<MergedWeight> out;
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
    const int64_t width = left.width(), part = panel_rows(left.rows(), width);
    std::vector<float> x(static_cast<size_t>(part * width)), y(x.size());
    for (int64_t begin = 0; begin < left.rows(); begin += part) {
      const int64_t count = std::min(part, left.rows() - begin);
      left.fill(begin, view(x.data(), {count, width}));
      right.fill(begin, view(y.data(), {count, width}));
      if (!std::equal(x.begin(), x.begin() + count * width, y.begin())) return false;
    }
    return true;
  }

  MergedWeight table(const Table& t) const {
    return {dense_source(t.name + ".weight", value(t.parameter, t.weight))};
  }

  void group(const LinearGroup& g, std::vector<MergedWeight>& out) const {
    for (const Projection& p : g.parts) {
      out.push_back(weight(p));
      if (const Tensor bias = value(p.bias_parameter, p.bias))
        out.push_back({dense_source(p.name + ".bias", bias)});
    }
  }

  MergedWeight weight(const Projection& p) const {
    const std::string name = p.name + ".weight";
    if (p.weight_parameter >= 0)
      return {dense_source(name, parameters_.value(p.weight_parameter)), true};
    if (!p.quantized) return {with_adapter(p, dense_source(name, p.weight)), true};
    const QuantizedMatrix& q = *p.quantized;
    return {with_adapter(p, quantized(p)), true,
            QuantizeOptions{
                .type = q.type, .block = q.block, .double_quant = q.absmax_codes != nullptr}};
  }

  WeightSource with_adapter(const Projection& p, WeightSource source) const {
    if (device_ && (p.lora_a >= 0 || p.quantized))
      source.fill = [device = device_, &p](int64_t begin, const Tensor& out) {
        device->fill(p, begin, out);
      };
    else if (p.lora_a >= 0)
      source.fill = [&parameters = parameters_, &p, base = std::move(source.fill)](
                        int64_t begin, const Tensor& out) {
        base(begin, out);
        add_adapter(parameters, p, begin, out);
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
  static void add_adapter(const ParameterSet& parameters, const Projection& p, int64_t begin,
                          const Tensor& out) {
    Matmul product{.out = out,
                   .a = rows(parameters.value(p.lora_b), begin, out.dim(0)),
                   .b = parameters.value(p.lora_a),
                   .alpha = p.lora_scale,
                   .beta = 1.0f};
    std::vector<float> scratch(static_cast<size_t>(matmul_scratch_elements(product)));
    product.scratch = view(scratch.data(), {static_cast<int64_t>(scratch.size())});
    matmul(product);
  }

  const Model& model_;
  const ParameterSet& parameters_;
  MergeDevice* device_;
};

}  // namespace

std::vector<MergedWeight> merged_weights(const Model& model, MergeDevice* device) {
  return Merger(model, device).weights();
}

bool stays_tied(const Model& model) {
  return Merger(model).is_tied();
}

}  // namespace nibble
