// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "model/adapter.h"

namespace nibble {
namespace {

Json number_json(double value) {
  if (value == std::floor(value) && std::abs(value) < 0x1p53) return static_cast<int64_t>(value);
  return value;
}

Json list_json(const std::vector<std::string>& list) {
  return list.empty() ? Json() : Json(Json::Array(list.begin(), list.end()));
}

template <class Value, class Convert>
Json pattern_json(const std::vector<std::pair<std::string, Value>>& pairs, const Convert& convert) {
  Json out = Json::object();
  for (const auto& [key, value] : pairs) out.set(key, convert(value));
  return out;
}

// "all-linear" spelled out, as PEFT does: other readers know names only.
std::vector<std::string> last_components(const Model& model) {
  std::vector<std::string> out;
  for (const Projection* p : model.projections()) {
    const std::string last = p->name.substr(p->name.rfind('.') + 1);
    if (std::find(out.begin(), out.end(), last) == out.end()) out.push_back(last);
  }
  std::sort(out.begin(), out.end());
  return out;
}

const char* bias_name(LoraBias bias) {
  if (bias == LoraBias::kAll) return "all";
  return bias == LoraBias::kLoraOnly ? "lora_only" : "none";
}

}  // namespace

Json adapter_config_json(const LoraConfig& c, const Model& model) {
  const bool all_linear =
      c.targets_expression.empty() && c.targets.size() == 1 && c.targets[0] == "all-linear";
  Json targets = c.targets_expression;
  if (all_linear)
    targets = list_json(last_components(model));
  else if (c.targets_expression.empty())
    targets = list_json(c.targets);
  Json layers;
  if (!c.layers_to_transform.empty())
    layers = Json::Array(c.layers_to_transform.begin(), c.layers_to_transform.end());
  return Json::object({
      {"alpha_pattern", pattern_json(c.alpha_pattern, number_json)},
      {"auto_mapping", nullptr},
      {"base_model_name_or_path", c.base_model.empty() ? Json() : Json(c.base_model)},
      {"bias", bias_name(c.bias)},
      {"ensure_weight_tying", c.ensure_weight_tying},
      {"exclude_modules",
       c.exclude_expression.empty() ? list_json(c.exclude) : Json(c.exclude_expression)},
      {"fan_in_fan_out", false},
      {"inference_mode", true},
      {"init_lora_weights", c.init == LoraInit::kGaussian ? Json("gaussian") : Json(true)},
      {"layers_pattern", nullptr},
      {"layers_to_transform", std::move(layers)},
      {"lora_alpha", number_json(c.alpha)},
      {"lora_bias", false},
      {"lora_dropout", c.dropout},
      {"modules_to_save", list_json(c.modules_to_save)},
      {"peft_type", "LORA"},
      {"r", c.rank},
      {"rank_pattern", pattern_json(c.rank_pattern, [](int64_t rank) { return Json(rank); })},
      {"revision", nullptr},
      {"target_modules", std::move(targets)},
      {"task_type", "CAUSAL_LM"},
      {"trainable_token_indices", nullptr},
      {"use_dora", false},
      {"use_rslora", c.use_rslora},
  });
}

}  // namespace nibble
