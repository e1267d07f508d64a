// SPDX-License-Identifier: Apache-2.0
#include "model/init.h"

#include <algorithm>
#include <vector>

#include "base/checked.h"
#include "base/profile.h"
#include "model/draw.h"
#include "model/import_sources.h"
#include "model/model_writer.h"

namespace nibble {
namespace {

WeightSource initial_weight(const WeightSpec& weight, double deviation, std::optional<int32_t> pad,
                            uint64_t seed) {
  const bool norm = weight.name.ends_with("norm.weight");
  const bool bias = weight.name.ends_with(".bias");
  // The padding token's row stays zero, as an embedding's padding_idx does.
  const bool padded = pad && weight.name == "model.embed_tokens.weight";
  return {
      .name = weight.name, .shape = weight.shape, .fill = [=](int64_t begin, const Tensor& out) {
        if (norm || bias)
          std::fill_n(out.as<float>(), out.elements(), norm ? 1.0f : 0.0f);
        else
          draw_normal(out, deviation, {seed, weight.name, begin * out.dim(1) / 4});
        if (padded && *pad >= begin && *pad < begin + out.dim(0))
          std::fill_n(out.as<float>() + (*pad - begin) * out.dim(1), out.dim(1), 0.0f);
      }};
}

}  // namespace

Json shape_config(const ModelShape& s) {
  const int64_t kv_heads = s.kv_heads.value_or(s.heads);
  if (s.heads < 1 || kv_heads < 1 || s.heads % kv_heads != 0)
    throw UsageError(cat("--kv-heads=", kv_heads, " does not divide --heads=", s.heads));
  if (!s.head_dim && s.hidden_size % s.heads != 0)
    throw UsageError(cat("--heads=", s.heads, " does not divide --hidden-size=", s.hidden_size,
                         "; change one or give --head-dim"));
  Json c = Json::object({
      {"attention_dropout", 0.0},
      {"head_dim", s.head_dim.value_or(s.hidden_size / s.heads)},
      {"hidden_act", "silu"},
      {"hidden_size", s.hidden_size},
      {"initializer_range", 0.02},
      {"intermediate_size", s.intermediate_size.value_or(
                                round_up<int64_t>(ceil_div<int64_t>(8 * s.hidden_size, 3), 64))},
      {"max_position_embeddings", s.max_position},
      {"model_type", s.family},
      {"num_attention_heads", s.heads},
      {"num_hidden_layers", s.layers},
      {"num_key_value_heads", kv_heads},
      {"rms_norm_eps", 1e-5},
      {"rope_theta", s.rope_theta},
      {"rope_scaling", nullptr},
      {"tie_word_embeddings", s.tied},
      {"use_cache", true},
      {"vocab_size", s.vocab_size},
  });
  if (s.family != "qwen2") c.set("attention_bias", false);
  if (s.family == "llama") c.set("mlp_bias", false);
  if (s.family == "mistral") c.set("sliding_window", nullptr);
  if (s.family.starts_with("qwen")) c.set("use_sliding_window", false);
  return c;
}

ModelConfig write_initial_model(const fs::path& folder, Json config, const std::string& place,
                                Dtype dtype, uint64_t seed) {
  if (config.find("quantization_config"))
    throw UsageError(cat(place,
                         ": \"quantization_config\": a new model starts dense; quantise it "
                         "with nibble-quantize"));
  config.erase("torch_dtype");
  config.set("dtype", torch_name(dtype));
  const ModelConfig model = parse_model_config(config, place);
  config.set("architectures", Json::array({model.architecture}));
  double deviation = 0.02;
  if (const Json* range = config.find("initializer_range"); range && range->is_number())
    deviation = range->as_number();
  write_config(config, model.bos, model.eos, model.pad, folder, place);

  std::vector<TensorInfo> infos;
  const auto weights = model_weights(model);
  for (const WeightSpec& w : weights) infos.push_back(tensor_info(w.name, dtype, w.shape));
  const Span span("make weights");
  TensorWriter writer(folder, infos, {{"format", "pt"}}, size_t{5'000'000'000});
  for (const WeightSpec& w : weights)
    write_weight(writer, initial_weight(w, deviation, model.pad, seed), dtype);
  writer.finish();
  return model;
}

}  // namespace nibble
