// SPDX-License-Identifier: Apache-2.0
#include "model/config.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace nibble {
namespace {

constexpr int64_t kMaxDimension = int64_t{1} << 24;

// What tells the families apart. A new family is one line here, and new fields where it needs them.
struct Family {
  std::string_view model_type, architecture;
  bool qkv_bias_default, reads_attention_bias, bias_on_output, qk_norm, window;
};
constexpr std::array kFamilies = {
    Family{"llama", "LlamaForCausalLM", false, true, true, false, false},
    Family{"mistral", "MistralForCausalLM", false, false, false, false, true},
    Family{"qwen2", "Qwen2ForCausalLM", true, false, false, false, true},
    Family{"qwen3", "Qwen3ForCausalLM", false, true, true, true, true},
};

// Reads members, naming the place in every fault.
class Reader {
 public:
  Reader(const Json& document, const std::string& place) : document_(document), place_(place) {}

  const Json* find(std::string_view name) const {
    const Json* v = document_.find(name);
    return v && !v->is_null() ? v : nullptr;
  }
  int64_t size(std::string_view name, std::optional<int64_t> otherwise = std::nullopt) const {
    const Json* v = find(name);
    if (!v && otherwise) return *otherwise;
    if (!v) fail(cat("no \"", name, "\""));
    const int64_t n = get(name, [&] { return v->as_integer(); });
    if (n < 1 || n > kMaxDimension)
      fail(cat("\"", name, "\" is ", n, ", not from 1 to ", kMaxDimension));
    return n;
  }
  double number(std::string_view name, double otherwise) const {
    const Json* v = find(name);
    return v ? get(name, [&] { return v->as_number(); }) : otherwise;
  }
  bool boolean(std::string_view name, bool otherwise) const {
    const Json* v = find(name);
    return v ? get(name, [&] { return v->as_bool(); }) : otherwise;
  }
  std::string text(std::string_view name, std::string otherwise = "") const {
    const Json* v = find(name);
    return v ? get(name, [&] { return v->as_string(); }) : otherwise;
  }
  std::vector<std::string> texts(std::string_view name) const {
    return get(name, [&] {
      std::vector<std::string> out;
      for (const Json& text : find(name)->as_array()) out.push_back(text.as_string());
      return out;
    });
  }
  std::vector<int32_t> ids(std::string_view name) const {
    std::vector<int32_t> out;
    const Json* v = find(name);
    if (!v) return out;
    const auto push = [&](const Json& id) {
      const int64_t n = get(name, [&] { return id.as_integer(); });
      // Some configurations write -1 for "none".
      if (n >= 0 && n < kMaxDimension) out.push_back(static_cast<int32_t>(n));
    };
    if (v->is_array())
      for (const Json& id : v->as_array()) push(id);
    else
      push(*v);
    return out;
  }
  [[noreturn]] void fail(const std::string& fault) const {
    throw DataError(cat(place_, ": ", fault, "; is it the config.json of a language model?"));
  }
  [[noreturn]] void refuse(const std::string& what) const {
    throw UnavailableError(cat(place_, ": ", what, " is not supported"));
  }
  const std::string& place() const { return place_; }

 private:
  template <class F>
  auto get(std::string_view name, F f) const -> decltype(f()) {
    try {
      return f();
    } catch (const DataError& error) {
      fail(cat("\"", name, "\": ", error.what()));
    }
  }
  const Json& document_;
  std::string place_;
};

RopeConfig read_rope(const Reader& config) {
  RopeConfig rope;
  rope.theta = config.number("rope_theta", 10000.0);
  // transformers 5 gathers all in rope_parameters; 4 has rope_theta and rope_scaling.
  const Json* scaling = config.find("rope_parameters");
  if (!scaling) scaling = config.find("rope_scaling");
  if (scaling) {
    const Reader s(*scaling, cat(config.place(), ": rope"));
    rope.theta = s.number("rope_theta", rope.theta);
    const std::string type = s.text("rope_type", s.text("type", "default"));
    if (type == "linear") {
      rope.scaling = RopeScaling::kLinear;
    } else if (type == "llama3") {
      rope.scaling = RopeScaling::kLlama3;
      rope.low_freq_factor = s.number("low_freq_factor", 1.0);
      rope.high_freq_factor = s.number("high_freq_factor", 4.0);
      rope.original_max_position = s.size("original_max_position_embeddings", 8192);
    } else if (type != "default") {
      config.refuse(cat("RoPE scaling \"", type, "\""));
    }
    if (rope.scaling != RopeScaling::kNone) rope.factor = s.number("factor", 1.0);
  }
  const bool ordered = rope.scaling != RopeScaling::kLlama3 ||
                       (rope.low_freq_factor > 0 && rope.high_freq_factor > rope.low_freq_factor);
  if (!(rope.theta > 0) || !(rope.factor > 0) || !std::isfinite(rope.theta) || !ordered)
    config.fail("the RoPE parameters make no sense");
  const double partial = config.number("partial_rotary_factor", 1.0);
  if (partial != 1.0) config.refuse("partial_rotary_factor");
  return rope;
}

// Sliding windows by layer, as each family switches them.
void read_window(const Reader& config, const Family& family, ModelConfig& m) {
  if (!family.window || !config.find("sliding_window")) return;
  if (family.model_type != "mistral" && !config.boolean("use_sliding_window", false)) return;
  const int64_t window = config.size("sliding_window");
  if (const Json* types = config.find("layer_types")) {
    if (!types->is_array() || static_cast<int64_t>(types->as_array().size()) != m.layers)
      config.fail("\"layer_types\" does not name every layer");
    for (const Json& type : types->as_array()) {
      const std::string name = type.is_string() ? type.as_string() : "";
      if (name != "full_attention" && name != "sliding_attention")
        config.refuse(cat("attention of type \"", name, "\""));
      m.layer_window.push_back(name == "sliding_attention" ? window : 0);
    }
  } else if (family.model_type == "mistral") {
    m.window = window;
  } else {
    const int64_t full = static_cast<int64_t>(config.number("max_window_layers", 28));
    for (int64_t i = 0; i < m.layers; ++i) m.layer_window.push_back(i >= full ? window : 0);
  }
}

QuantizationConfig read_quantization(const Json& document, const std::string& place) {
  const Reader q(document, place);
  QuantizationConfig out;
  const std::string method = q.text("quant_method");
  if (method != "bitsandbytes") q.refuse(cat("quantisation by \"", method, "\""));
  if (q.boolean("load_in_8bit", false)) {
    out.type = QuantType::kInt8;
    out.double_quant = false;
  } else if (q.boolean("load_in_4bit", false)) {
    const std::string type = q.text("bnb_4bit_quant_type", "fp4");
    if (type != "nf4" && type != "fp4") q.refuse(cat("the 4-bit type \"", type, "\""));
    out.type = type == "nf4" ? QuantType::kNf4 : QuantType::kFp4;
    out.double_quant = q.boolean("bnb_4bit_use_double_quant", false);
  } else {
    q.fail("neither load_in_4bit nor load_in_8bit is set");
  }
  out.block = q.size("bnb_4bit_blocksize", 64);
  if (q.find("llm_int8_skip_modules")) out.skip_modules = q.texts("llm_int8_skip_modules");
  if (const auto dtype = dtype_from_torch_name(q.text("bnb_4bit_compute_dtype", "bfloat16")))
    out.compute_dtype = *dtype;
  return out;
}

}  // namespace

ModelConfig parse_model_config(const Json& document, const std::string& place) {
  const Reader config(document, place);
  if (!document.is_object()) config.fail("no JSON object");
  ModelConfig m;
  m.raw = document;
  m.family = config.text("model_type");
  const auto family = std::find_if(kFamilies.begin(), kFamilies.end(),
                                   [&](const Family& f) { return f.model_type == m.family; });
  if (m.family.empty()) config.fail("no \"model_type\"");
  if (family == kFamilies.end())
    throw UnavailableError(
        cat(place, ": model family \"", m.family,
            "\" is not supported; nibble knows llama, mistral, qwen2 and qwen3"));
  m.architecture = family->architecture;
  if (const Json* names = config.find("architectures"); names && names->is_array())
    for (const Json& name : names->as_array())
      if (name.is_string() && name.as_string() != m.architecture)
        config.refuse(cat("architecture \"", name.as_string(), "\""));

  m.vocab_size = config.size("vocab_size");
  m.hidden_size = config.size("hidden_size");
  m.layers = config.size("num_hidden_layers");
  m.heads = config.size("num_attention_heads");
  m.kv_heads = config.size("num_key_value_heads", m.heads);
  m.intermediate_size = config.size("intermediate_size");
  m.max_position = config.size("max_position_embeddings", 2048);
  const int64_t default_head_dim =
      family->qk_norm ? 128 : std::max<int64_t>(1, m.hidden_size / m.heads);
  m.head_dim = config.size("head_dim", default_head_dim);
  if (m.layers > 4096) config.fail(cat("\"num_hidden_layers\" is ", m.layers));
  if (m.heads % m.kv_heads != 0)
    config.fail(cat(m.heads, " query heads cannot share ", m.kv_heads, " key/value heads"));
  if (!config.find("head_dim") && !family->qk_norm && m.hidden_size % m.heads != 0)
    config.fail(cat("\"hidden_size\" ", m.hidden_size, " is no multiple of ", m.heads, " heads"));
  if (m.head_dim % 2 != 0 || m.head_dim > 256)
    config.refuse(
        cat("a head dimension of ", m.head_dim, " (even numbers up to 256 are supported)"));
  m.norm_eps = config.number("rms_norm_eps", 1e-6);
  if (!(m.norm_eps > 0 && m.norm_eps < 1)) config.fail("\"rms_norm_eps\" is not between 0 and 1");
  const std::string activation = config.text("hidden_act", "silu");
  if (activation != "silu") config.refuse(cat("the activation \"", activation, "\""));
  m.rope = read_rope(config);
  m.tied_embeddings = config.boolean("tie_word_embeddings", false);
  m.qkv_bias = family->qkv_bias_default ||
               (family->reads_attention_bias && config.boolean("attention_bias", false));
  m.output_bias = family->bias_on_output && m.qkv_bias;
  m.mlp_bias = config.boolean("mlp_bias", false);
  m.qk_norm = family->qk_norm;
  read_window(config, *family, m);

  const std::string dtype = config.text("dtype", config.text("torch_dtype", "float32"));
  if (const auto known = dtype_from_torch_name(dtype)) m.dtype = *known;
  if (const auto bos = config.ids("bos_token_id"); !bos.empty()) m.bos = bos[0];
  if (const auto pad = config.ids("pad_token_id"); !pad.empty()) m.pad = pad[0];
  m.eos = config.ids("eos_token_id");
  if (const Json* q = config.find("quantization_config"))
    m.quantization = read_quantization(*q, cat(place, ": quantization_config"));
  return m;
}

ModelConfig load_model_config(const fs::path& folder) {
  const fs::path path = folder / "config.json";
  if (!input_exists(path))
    throw NoInputError(cat(folder.string(), ": no config.json; give a model folder"));
  ModelConfig m = parse_model_config(read_json_file(path), path.string());
  const fs::path generation = folder / "generation_config.json";
  if (input_exists(generation)) {
    const Json document = read_json_file(generation);
    const Reader g(document, generation.string());
    if (const auto eos = g.ids("eos_token_id"); !eos.empty()) m.eos = eos;
  }
  return m;
}

std::vector<WeightSpec> model_weights(const ModelConfig& c) {
  std::vector<WeightSpec> out;
  const auto add = [&](std::string name, std::vector<int64_t> shape, bool linear = false) {
    out.push_back({std::move(name), std::move(shape), linear});
  };
  const auto linear = [&](const std::string& name, int64_t o, int64_t i, bool bias) {
    add(name + ".weight", {o, i}, true);
    if (bias) add(name + ".bias", {o});
  };
  const int64_t q = c.heads * c.head_dim, kv = c.kv_heads * c.head_dim;
  add("model.embed_tokens.weight", {c.vocab_size, c.hidden_size});
  for (int64_t l = 0; l < c.layers; ++l) {
    const std::string layer = cat("model.layers.", l, ".");
    add(layer + "input_layernorm.weight", {c.hidden_size});
    linear(layer + "self_attn.q_proj", q, c.hidden_size, c.qkv_bias);
    linear(layer + "self_attn.k_proj", kv, c.hidden_size, c.qkv_bias);
    linear(layer + "self_attn.v_proj", kv, c.hidden_size, c.qkv_bias);
    linear(layer + "self_attn.o_proj", c.hidden_size, q, c.output_bias);
    if (c.qk_norm) {
      add(layer + "self_attn.q_norm.weight", {c.head_dim});
      add(layer + "self_attn.k_norm.weight", {c.head_dim});
    }
    add(layer + "post_attention_layernorm.weight", {c.hidden_size});
    linear(layer + "mlp.gate_proj", c.intermediate_size, c.hidden_size, c.mlp_bias);
    linear(layer + "mlp.up_proj", c.intermediate_size, c.hidden_size, c.mlp_bias);
    linear(layer + "mlp.down_proj", c.hidden_size, c.intermediate_size, c.mlp_bias);
  }
  add("model.norm.weight", {c.hidden_size});
  if (!c.tied_embeddings) linear("lm_head", c.vocab_size, c.hidden_size, false);
  return out;
}

}  // namespace nibble
