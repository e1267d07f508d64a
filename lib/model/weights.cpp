// SPDX-License-Identifier: Apache-2.0
#include "model/weights.h"

#include <algorithm>

#include "base/profile.h"
#include "quant/quantize_folder.h"
#include "quant/storage.h"

namespace nibble {
namespace {

class Loader {
 public:
  Loader(const TensorStore& store, QuantizedTables& tables) : store_(store), tables_(tables) {}

  /// A dense tensor of that shape, in place.
  Tensor dense(const std::string& name, std::initializer_list<int64_t> shape) const {
    const StoredTensor& t = store_.at(name);
    if (!std::equal(shape.begin(), shape.end(), t.info.shape.begin(), t.info.shape.end()))
      throw DataError(cat(t.file->path().string(), ": tensor \"", name, "\" has shape (",
                          text(t.info.shape), "), config.json says (", text(shape),
                          "); they belong to different models"));
    const Dtype d = t.info.dtype;
    if (d != Dtype::kF32 && d != Dtype::kBf16 && d != Dtype::kF16)
      throw DataError(cat(t.file->path().string(), ": tensor \"", name, "\" is ", dtype_name(d),
                          ", not F32, F16 or BF16; import the model again"));
    return make_tensor(const_cast<std::byte*>(t.bytes.data()), d, shape);
  }

  Table table(const std::string& module, std::initializer_list<int64_t> shape) const {
    return {.name = module, .weight = dense(module + ".weight", shape)};
  }

  Projection projection(const std::string& module, int64_t out, int64_t in, bool bias) const {
    Projection p{.name = module, .out_features = out, .in_features = in};
    const std::string weight = module + ".weight";
    if (is_quantized(store_, weight))
      p.quantized = load_quantized(store_, weight, out, in, tables_);
    else
      p.weight = dense(weight, {out, in});
    if (bias) p.bias = dense(module + ".bias", {out});
    return p;
  }

 private:
  template <class List>
  static std::string text(const List& shape) {
    std::string out;
    for (const int64_t d : shape) out += cat(out.empty() ? "" : ",", d);
    return out;
  }
  const TensorStore& store_;
  QuantizedTables& tables_;
};

// Weights of the right shape that are nowhere.
class Shapes {
 public:
  explicit Shapes(const ModelConfig& config) : config_(config) {}

  Table table(const std::string& module, std::initializer_list<int64_t> shape) const {
    return {.name = module, .weight = nowhere(shape)};
  }

  Projection projection(const std::string& module, int64_t out, int64_t in, bool bias) const {
    Projection p{.name = module, .out_features = out, .in_features = in};
    const auto& q = config_.quantization;
    if (q && !is_skipped(module, q->skip_modules))
      p.quantized = matrix(*q, out, in);
    else
      p.weight = nowhere({out, in});
    if (bias) p.bias = nowhere({out});
    return p;
  }

 private:
  QuantizedMatrix matrix(const QuantizationConfig& q, int64_t out, int64_t in) const {
    QuantizedMatrix m{.type = q.type, .out_features = out, .in_features = in, .block = q.block};
    m.codes = place<uint8_t>();
    if (q.type == QuantType::kInt8) {
      m.row_scale = place<float>();
      return m;
    }
    m.code_book = shared_;
    if (!q.double_quant) {
      m.absmax = place<float>();
      return m;
    }
    m.absmax_codes = place<uint8_t>();
    m.nested_map = place<float>();
    m.nested_absmax = place<float>();
    return m;
  }

  // What points somewhere is there; what points elsewhere is something else.
  template <class T>
  const T* place() const {
    next_ += 64;
    return reinterpret_cast<const T*>(next_);
  }
  Tensor nowhere(std::initializer_list<int64_t> shape) const {
    return make_tensor(const_cast<std::byte*>(place<std::byte>()), config_.dtype, shape);
  }
  const ModelConfig& config_;
  mutable uintptr_t next_ = 0;
  const float* shared_ = place<float>();  // the code book
};

// The whole model, from wherever its weights come.
template <class Source>
void assemble(Model& m, const Source& source) {
  const ModelConfig& c = m.config;
  const int64_t q = c.heads * c.head_dim, kv = c.kv_heads * c.head_dim;
  m.embedding = source.table("model.embed_tokens", {c.vocab_size, c.hidden_size});
  for (int64_t l = 0; l < c.layers; ++l) {
    const std::string layer = cat("model.layers.", l, ".");
    const std::string attention = layer + "self_attn.", mlp = layer + "mlp.";
    Block b{.window = c.window_of(l)};
    b.attention_norm = source.table(layer + "input_layernorm", {c.hidden_size});
    b.mlp_norm = source.table(layer + "post_attention_layernorm", {c.hidden_size});
    if (c.qk_norm) {
      b.q_norm = source.table(attention + "q_norm", {c.head_dim});
      b.k_norm = source.table(attention + "k_norm", {c.head_dim});
    }
    b.qkv.parts = {source.projection(attention + "q_proj", q, c.hidden_size, c.qkv_bias),
                   source.projection(attention + "k_proj", kv, c.hidden_size, c.qkv_bias),
                   source.projection(attention + "v_proj", kv, c.hidden_size, c.qkv_bias)};
    b.output.parts = {source.projection(attention + "o_proj", c.hidden_size, q, c.output_bias)};
    b.gate_up.parts = {
        source.projection(mlp + "gate_proj", c.intermediate_size, c.hidden_size, c.mlp_bias),
        source.projection(mlp + "up_proj", c.intermediate_size, c.hidden_size, c.mlp_bias)};
    b.down.parts = {
        source.projection(mlp + "down_proj", c.hidden_size, c.intermediate_size, c.mlp_bias)};
    int64_t number = l * Block::kGroups;
    for (LinearGroup* g : b.groups()) g->number = number++;
    m.blocks.push_back(std::move(b));
  }
  m.norm = source.table("model.norm", {c.hidden_size});
  if (c.tied_embeddings)
    m.head = {.name = "lm_head",
              .out_features = c.vocab_size,
              .in_features = c.hidden_size,
              .weight = m.embedding.weight};
  else
    m.head = source.projection("lm_head", c.vocab_size, c.hidden_size, false);
}

}  // namespace

std::vector<Projection*> Model::projections() {
  std::vector<Projection*> out;
  for (Block& b : blocks)
    for (LinearGroup* g : b.groups())
      for (Projection& p : g->parts) out.push_back(&p);
  return out;
}

std::vector<const Projection*> Model::projections() const {
  const auto all = const_cast<Model*>(this)->projections();
  return {all.begin(), all.end()};
}

int64_t Model::parameter_count() const {
  int64_t n = 0;
  for (const WeightSpec& w : model_weights(config)) {
    int64_t product = 1;
    for (const int64_t d : w.shape) product *= d;
    n += product;
  }
  return n;
}

Model load_model(const fs::path& folder) {
  const Span span("load model");
  Model m;
  m.config = load_model_config(folder);
  m.store = std::make_shared<TensorStore>(folder);
  auto tables = std::make_shared<QuantizedTables>();
  m.quantized_storage = tables;
  assemble(m, Loader(*m.store, *tables));
  return m;
}

Model shape_model(const ModelConfig& config) {
  Model m;
  m.config = config;
  assemble(m, Shapes(m.config));
  return m;
}

}  // namespace nibble
