// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "model/draw.h"
#include "model/lora.h"

namespace nibble {
namespace {

// Fills parameters from the model's own weights.
class Initialiser {
 public:
  Initialiser(const Model& model, LoraInit init, uint64_t seed)
      : model_(model), init_(init), seed_(seed) {}

  void run() const {
    embedding_rows(model_.embedding.parameter, model_.embedding.weight);
    if (model_.head.weight_parameter != model_.embedding.parameter)
      embedding_rows(model_.head.weight_parameter, model_.head.weight);
    for (const Projection* p : model_.projections()) {
      adapter(*p);
      copy(p->weight_parameter, p->weight);
      copy(p->bias_parameter, p->bias);
    }
    for (const Block& b : model_.blocks)
      for (const Table* t : {&b.attention_norm, &b.mlp_norm, &b.q_norm, &b.k_norm})
        copy(t->parameter, t->weight);
    copy(model_.norm.parameter, model_.norm.weight);
  }

 private:
  const std::string& name_of(int index) const {
    return model_.parameters.all()[static_cast<size_t>(index)].name;
  }

  void copy(int index, const Tensor& from) const {
    if (index >= 0) copy_as_f32(from, model_.parameters.value(index));
  }

  void embedding_rows(int index, const Tensor& from) const {
    if (index < 0) return;
    const Tensor value = model_.parameters.value(index);
    const int64_t old = from.dim(0);
    copy_as_f32(from, rows(value, 0, old));
    if (value.dim(0) > old)
      draw_new_rows(rows(value, old, value.dim(0) - old), rows(value, 0, old),
                    {seed_, name_of(index)});
  }

  void adapter(const Projection& p) const {
    if (p.lora_a < 0) return;
    const Tensor a = model_.parameters.value(p.lora_a), b = model_.parameters.value(p.lora_b);
    const DrawName draw{seed_, name_of(p.lora_a)};
    if (init_ == LoraInit::kGaussian)
      draw_normal(a, 1.0 / static_cast<double>(a.dim(0)), draw);
    else  // Kaiming uniform with a = sqrt 5: the bound is sqrt(6 / ((1 + 5) I))
      draw_uniform(a, 1.0 / std::sqrt(static_cast<double>(a.dim(1))), draw);
    std::fill_n(b.as<float>(), b.elements(), 0.0f);
  }

  const Model& model_;
  LoraInit init_;
  uint64_t seed_;
};

}  // namespace

void init_trained(const Model& model, const LoraConfig& config, uint64_t seed) {
  Initialiser(model, config.init, seed).run();
}

}  // namespace nibble
