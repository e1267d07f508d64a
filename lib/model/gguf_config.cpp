// SPDX-License-Identifier: Apache-2.0
#include "model/gguf_config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numbers>

#include "base/error.h"
#include "base/quote.h"

namespace nibble {
namespace {

// What is read below, and what changes nothing.
constexpr std::array<std::string_view, 22> kKnownKeys = {"context_length",
                                                         "embedding_length",
                                                         "block_count",
                                                         "feed_forward_length",
                                                         "vocab_size",
                                                         "attention.head_count",
                                                         "attention.head_count_kv",
                                                         "attention.key_length",
                                                         "attention.value_length",
                                                         "attention.layer_norm_rms_epsilon",
                                                         "attention.sliding_window",
                                                         "rope.dimension_count",
                                                         "rope.freq_base",
                                                         "rope.scale_linear",
                                                         "rope.scaling.type",
                                                         "rope.scaling.factor",
                                                         "rope.scaling.original_context_length",
                                                         "rope.scaling.finetuned",
                                                         "expert_count",
                                                         "expert_used_count",
                                                         "tensor_data_layout",
                                                         "attention.causal"};

// The metadata of one architecture.
class Keys {
 public:
  explicit Keys(const GgufFile& file)
      : file_(file), prefix_(file.text("general.architecture", "") + ".") {}

  const std::string& prefix() const { return prefix_; }
  bool has(std::string_view key) const { return file_.find(prefix_ + std::string(key)); }
  /// A size; arrays (one value a layer) must be all the same.
  int64_t size(std::string_view key, std::optional<int64_t> otherwise = std::nullopt) const {
    const std::string name = prefix_ + std::string(key);
    const GgufValue* value = file_.find(name);
    if (!value && otherwise) return *otherwise;
    if (!value) fail(name, "missing");
    if (!value->array) return file_.integer(name, 0);
    if (value->count == 0 || value->type == GgufType::kString) fail(name, "is no list of sizes");
    for (uint64_t i = 1; i < value->count; ++i)
      if (value->integer(i) != value->integer(0)) refuse(name, "differs between layers");
    return value->integer(0);
  }
  double number(std::string_view key, double otherwise) const {
    return file_.number(prefix_ + std::string(key), otherwise);
  }
  std::string text(std::string_view key, std::string_view otherwise) const {
    return file_.text(prefix_ + std::string(key), otherwise);
  }
  bool boolean(std::string_view key, bool otherwise) const {
    return file_.boolean(prefix_ + std::string(key), otherwise);
  }
  [[noreturn]] void fail(std::string_view key, std::string_view fault) const {
    throw DataError(cat(file_.file().path().string(), ": metadata ", quote(key), " ", fault,
                        "; convert the model again"));
  }
  [[noreturn]] void refuse(std::string_view key, std::string_view what) const {
    throw UnavailableError(cat(file_.file().path().string(), ": metadata ", quote(key), " ", what,
                               ", which is not supported"));
  }
  void refuse_unknown() const {
    for (const auto& [key, value] : file_.metadata()) {
      if (!key.starts_with(prefix_)) continue;
      const auto rest = std::string_view(key).substr(prefix_.size());
      if (std::find(kKnownKeys.begin(), kKnownKeys.end(), rest) == kKnownKeys.end())
        refuse(key, "may change what the model computes");
    }
    if (size("expert_count", 0) > 0) refuse(prefix_ + "expert_count", "says mixture of experts");
    if (!boolean("attention.causal", true)) refuse(prefix_ + "attention.causal", "is false");
    if (text("tensor_data_layout", "Meta AI original pth") != "Meta AI original pth")
      refuse(prefix_ + "tensor_data_layout", "is another than Meta's");
  }

 private:
  const GgufFile& file_;
  std::string prefix_;
};

// rope_scaling as config.json has it, or null.
Json rope_scaling(const GgufFile& file, const Keys& keys, double theta) {
  const std::string type =
      keys.text("rope.scaling.type", keys.has("rope.scale_linear") ? "linear" : "none");
  const double factor = keys.number("rope.scaling.factor", keys.number("rope.scale_linear", 1.0));
  if (type == "linear" && factor != 1.0)
    return Json::object({{"type", "linear"}, {"rope_type", "linear"}, {"factor", factor}});
  if (type != "none" && type != "linear")
    keys.refuse(keys.prefix() + "rope.scaling.type", cat("is ", quote(type)));
  const GgufTensor* table = file.find_tensor("rope_freqs.weight");
  if (!table) return nullptr;
  if (table->type != GgmlType::kF32 || table->shape.size() != 1)
    throw DataError(cat(file.file().path().string(), ": rope_freqs.weight is no vector of F32"));
  std::vector<float> factors(static_cast<size_t>(table->elements()));
  std::memcpy(factors.data(), table->bytes.data(), table->bytes.size());
  if (std::all_of(factors.begin(), factors.end(), [](float f) { return f == 1.0f; }))
    return nullptr;
  const auto rope = find_llama3_rope(factors, theta);
  if (!rope)
    throw UnavailableError(cat(file.file().path().string(),
                               ": rope_freqs.weight holds a RoPE scaling other than LLaMA 3.1's, "
                               "which is not supported"));
  return Json::object({{"rope_type", "llama3"},
                       {"factor", rope->factor},
                       {"low_freq_factor", rope->low_freq_factor},
                       {"high_freq_factor", rope->high_freq_factor},
                       {"original_max_position_embeddings", rope->original_max_position}});
}

}  // namespace

std::vector<float> llama3_rope_factors(const RopeConfig& rope, int64_t head_dim) {
  CHECK(rope.scaling == RopeScaling::kLlama3);
  const double length = static_cast<double>(rope.original_max_position);
  std::vector<float> factors;
  for (int64_t i = 0; i < head_dim; i += 2) {
    const double wavelength =
        2.0 * std::numbers::pi *
        std::pow(rope.theta, static_cast<double>(i) / static_cast<double>(head_dim));
    const double turns = length / wavelength;  // over the original context
    double divisor = rope.factor;
    if (turns > rope.high_freq_factor) {
      divisor = 1.0;
    } else if (turns >= rope.low_freq_factor) {
      const double smooth =
          (turns - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor);
      divisor = 1.0 / ((1.0 - smooth) / rope.factor + smooth);
    }
    factors.push_back(static_cast<float>(divisor));
  }
  return factors;
}

std::optional<RopeConfig> find_llama3_rope(std::span<const float> factors, double theta) {
  if (factors.empty()) return std::nullopt;
  RopeConfig rope{.theta = theta, .scaling = RopeScaling::kLlama3};
  rope.factor = static_cast<double>(*std::max_element(factors.begin(), factors.end()));
  if (!(rope.factor > 1.0 && rope.factor < 1e6)) return std::nullopt;
  const auto head_dim = static_cast<int64_t>(factors.size()) * 2;
  std::vector<int64_t> lengths = {8192};  // LLaMA's own first: short tables may fit several
  for (int64_t length = 2; length <= int64_t{1} << 24; length *= 2) lengths.push_back(length);
  for (const int64_t length : lengths) {
    rope.original_max_position = length;
    const std::vector<float> expected = llama3_rope_factors(rope, head_dim);
    // Converters compute in float: powers of theta are off by some dozen roundings, and the divisor
    // depends on them at most as steeply as the factor.
    const double tolerance = 64.0 * rope.factor * 0x1p-24;
    const bool same =
        std::equal(factors.begin(), factors.end(), expected.begin(), [&](float a, float b) {
          return std::fabs(static_cast<double>(a) - static_cast<double>(b)) <=
                 tolerance * static_cast<double>(b);
        });
    if (same) return rope;
  }
  return std::nullopt;
}

Json config_from_gguf(const GgufFile& file, Dtype dtype) {
  const std::string place = file.file().path().string();
  const std::string architecture = file.text("general.architecture", "");
  if (architecture.empty())
    throw DataError(cat(place, ": no \"general.architecture\"; is it a language model?"));
  if (architecture != "llama" && architecture != "qwen2" && architecture != "qwen3")
    throw UnavailableError(cat(place, ": architecture ", quote(architecture),
                               " is not supported; nibble knows llama, qwen2 and qwen3"));
  const Keys keys(file);
  keys.refuse_unknown();
  const GgufTensor* embedding = file.find_tensor("token_embd.weight");
  if (!embedding || embedding->shape.size() != 2)
    throw DataError(cat(place, ": no matrix \"token_embd.weight\"; is the file whole?"));
  const GgufTensor* head = file.find_tensor("output.weight");
  // Some converters write a tied head out again.
  const bool tied =
      !head || (head->type == embedding->type && head->shape == embedding->shape &&
                std::memcmp(head->bytes.data(), embedding->bytes.data(), head->bytes.size()) == 0);
  const int64_t hidden = keys.size("embedding_length"), heads = keys.size("attention.head_count");
  if (heads < 1 || hidden < heads)
    keys.fail(keys.prefix() + "attention.head_count", "makes no sense");
  const int64_t head_dim = keys.size("attention.key_length", hidden / heads);
  if (keys.size("attention.value_length", head_dim) != head_dim)
    keys.refuse(keys.prefix() + "attention.value_length", "differs from the keys' length");
  if (keys.size("rope.dimension_count", head_dim) != head_dim)
    keys.refuse(keys.prefix() + "rope.dimension_count", "rotates a part of the head");
  const int64_t window = keys.size("attention.sliding_window", 0);
  const bool mistral = architecture == "llama" && window > 0;
  const double theta = keys.number("rope.freq_base", 10000.0);

  Json config = Json::object();
  const std::string family = mistral ? "mistral" : architecture;
  config.set("architectures", Json::array({family == "llama"     ? "LlamaForCausalLM"
                                           : family == "mistral" ? "MistralForCausalLM"
                                           : family == "qwen2"   ? "Qwen2ForCausalLM"
                                                                 : "Qwen3ForCausalLM"}));
  config.set("model_type", family);
  config.set("hidden_act", "silu");
  config.set("vocab_size", embedding->shape[0]);
  config.set("hidden_size", hidden);
  config.set("intermediate_size", keys.size("feed_forward_length"));
  config.set("num_hidden_layers", keys.size("block_count"));
  config.set("num_attention_heads", heads);
  config.set("num_key_value_heads", keys.size("attention.head_count_kv", heads));
  config.set("head_dim", head_dim);
  config.set("max_position_embeddings", keys.size("context_length", 2048));
  config.set("rms_norm_eps", keys.number("attention.layer_norm_rms_epsilon", 1e-6));
  config.set("rope_theta", theta);
  config.set("rope_scaling", rope_scaling(file, keys, theta));
  config.set("tie_word_embeddings", tied);
  if (architecture != "qwen2" && !mistral)
    config.set("attention_bias", file.find_tensor("blk.0.attn_q.bias") != nullptr);
  if (architecture == "llama" && !mistral)
    config.set("mlp_bias", file.find_tensor("blk.0.ffn_up.bias") != nullptr);
  if (mistral) config.set("sliding_window", window);
  if (!mistral && architecture != "llama" && window > 0) {
    config.set("use_sliding_window", true);
    config.set("sliding_window", window);
    config.set("max_window_layers", 0);
  }
  config.set("initializer_range", 0.02);
  config.set("use_cache", true);
  config.set("torch_dtype", torch_name(dtype));
  return config;
}

}  // namespace nibble
