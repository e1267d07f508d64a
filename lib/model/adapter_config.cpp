// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <set>

#include "base/quote.h"
#include "model/adapter.h"

namespace nibble {
namespace {

// Members that say how the adapter came to be, not what it computes.
constexpr std::array<std::string_view, 9> kHistory = {
    "auto_mapping",   "corda_config",  "eva_config",   "inference_mode",   "loftq_config",
    "lora_ga_config", "megatron_core", "peft_version", "qalora_group_size"};
// Ways to initialise that leave the base's weights as they are; the others change them, and their
// adapters mean nothing without that change.
constexpr std::array<std::string_view, 3> kHarmlessInits = {"gaussian", "eva", "orthogonal"};

// null, false, [], {} and "": whatever the member is for, it is not used.
bool is_unset(const Json& v) {
  if (v.is_null()) return true;
  if (v.is_bool()) return !v.as_bool();
  if (v.is_array()) return v.as_array().empty();
  if (v.is_object()) return v.as_object().empty();
  return v.is_string() && v.as_string().empty();
}

class ConfigReader {
 public:
  explicit ConfigReader(const fs::path& folder)
      : place_((folder / "adapter_config.json").string()) {
    if (!input_exists(place_))
      throw NoInputError(cat(folder.string(), ": no adapter_config.json; give an adapter folder"));
    document_ = read_json_file(place_);
    if (!document_.is_object()) fail("no JSON object");
  }

  LoraConfig read() {
    const std::string type = text("peft_type");
    if (type != "LORA") refuse(cat("\"peft_type\": ", quote(type)));
    const std::string task = text("task_type");
    if (!task.empty() && task != "CAUSAL_LM") refuse(cat("\"task_type\": ", quote(task)));
    LoraConfig c;
    c.rank = integer("r", 8);
    c.alpha = number("lora_alpha", 8.0);
    c.dropout = number("lora_dropout", 0.0);
    c.use_rslora = boolean("use_rslora");
    c.ensure_weight_tying = boolean("ensure_weight_tying");
    names("target_modules", c.targets, c.targets_expression);
    if (c.targets.empty() && c.targets_expression.empty())
      refuse("no \"target_modules\" (they are needed)");
    names("exclude_modules", c.exclude, c.exclude_expression);
    c.modules_to_save = strings("modules_to_save");
    c.bias = bias();
    c.init = init();
    pattern("rank_pattern", [&](const std::string& key, const Json& value) {
      c.rank_pattern.emplace_back(key, value.as_integer());
    });
    pattern("alpha_pattern", [&](const std::string& key, const Json& value) {
      c.alpha_pattern.emplace_back(key, value.as_number());
    });
    c.layers_to_transform = layers();
    for (const std::string& name : strings("layers_pattern"))
      if (name != "layers") refuse(cat("\"layers_pattern\": ", quote(name)));
    c.base_model = text("base_model_name_or_path");
    text("revision");
    for (const auto& [name, value] : document_.as_object())
      if (!read_.contains(name) && !is_unset(value) &&
          std::find(kHistory.begin(), kHistory.end(), name) == kHistory.end())
        refuse(cat("\"", quote(name).substr(1)));
    return c;
  }

 private:
  [[noreturn]] void fail(const std::string& fault) const {
    throw DataError(cat(place_, ": ", fault, "; is it PEFT's configuration of an adapter?"));
  }
  [[noreturn]] void refuse(const std::string& what) const {
    throw UnavailableError(cat(place_, ": ", what, " is not supported"));
  }

  const Json* find(const char* name) {
    read_.insert(name);
    const Json* v = document_.find(name);
    return v && !v->is_null() ? v : nullptr;
  }
  template <class Get>
  auto get(const char* name, const Json& value, Get g) const {
    try {
      return g(value);
    } catch (const DataError& error) {
      fail(cat("\"", name, "\": ", error.what()));
    }
  }

  std::string text(const char* name) {
    const Json* v = find(name);
    return v ? get(name, *v, [](const Json& j) { return j.as_string(); }) : "";
  }
  bool boolean(const char* name) {
    const Json* v = find(name);
    return v && get(name, *v, [](const Json& j) { return j.as_bool(); });
  }
  int64_t integer(const char* name, int64_t otherwise) {
    const Json* v = find(name);
    return v ? get(name, *v, [](const Json& j) { return j.as_integer(); }) : otherwise;
  }
  double number(const char* name, double otherwise) {
    const Json* v = find(name);
    return v ? get(name, *v, [](const Json& j) { return j.as_number(); }) : otherwise;
  }
  std::vector<std::string> strings(const char* name) {
    const Json* v = find(name);
    std::vector<std::string> out;
    if (!v) return out;
    if (v->is_string()) return {v->as_string()};
    get(name, *v, [&](const Json& j) {
      for (const Json& item : j.as_array()) out.push_back(item.as_string());
      return 0;
    });
    return out;
  }
  // A list of names, or a string: a regular expression, or "all-linear".
  void names(const char* name, std::vector<std::string>& list, std::string& expression) {
    const Json* v = find(name);
    list = strings(name);
    if (!v || !v->is_string()) return;
    std::string lower = v->as_string();
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char ch) { return static_cast<char>(std::tolower(ch)); });
    if (lower == "all-linear") {
      list = {lower};
    } else {
      expression = v->as_string();
      list.clear();
    }
  }
  template <class Add>
  void pattern(const char* name, const Add& add) {
    if (const Json* v = find(name))
      get(name, *v, [&](const Json& j) {
        for (const auto& [key, value] : j.as_object()) add(key, value);
        return 0;
      });
  }
  std::vector<int64_t> layers() {
    const char* name = "layers_to_transform";
    const Json* v = find(name);
    std::vector<int64_t> out;
    if (!v) return out;
    get(name, *v, [&](const Json& j) {
      if (j.is_integer())
        out = {j.as_integer()};
      else
        for (const Json& layer : j.as_array()) out.push_back(layer.as_integer());
      return 0;
    });
    return out;
  }
  LoraBias bias() {
    const std::string value = text("bias");
    if (value.empty() || value == "none") return LoraBias::kNone;
    if (value == "all") return LoraBias::kAll;
    if (value == "lora_only") return LoraBias::kLoraOnly;
    refuse(cat("\"bias\": ", quote(value)));
  }
  LoraInit init() {
    const Json* v = find("init_lora_weights");
    if (!v || v->is_bool()) return LoraInit::kDefault;
    const std::string value = text("init_lora_weights");
    if (std::find(kHarmlessInits.begin(), kHarmlessInits.end(), value) == kHarmlessInits.end())
      refuse(cat("\"init_lora_weights\": ", quote(value), ", which changes the base's weights,"));
    return value == "gaussian" ? LoraInit::kGaussian : LoraInit::kDefault;
  }

  std::string place_;
  Json document_;
  std::set<std::string, std::less<>> read_;
};

}  // namespace

LoraConfig load_adapter_config(const fs::path& folder) {
  return ConfigReader(folder).read();
}

}  // namespace nibble
