// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>

#include "base/quote.h"
#include "model/adapter.h"
#include "model/inspect.h"
#include "model/stored_weight.h"
#include "text/copy_tokenizer.h"
#include "text/tokenizer.h"

namespace nibble {
namespace {

uint64_t dense_parameters(const ModelConfig& config) {
  uint64_t total = 0;
  for (const WeightSpec& spec : model_weights(config)) {
    uint64_t n = 1;
    for (const int64_t d : spec.shape) n *= static_cast<uint64_t>(d);
    total += n;
  }
  return total;
}

std::string rope_text(const RopeConfig& rope) {
  std::string out = cat("theta ", rope.theta);
  if (rope.scaling == RopeScaling::kLinear) out += cat(", linear scaling by ", rope.factor);
  if (rope.scaling == RopeScaling::kLlama3)
    out += cat(", llama3 scaling by ", rope.factor, " from ", rope.original_max_position);
  return out;
}

std::string quantization_text(const QuantizationConfig& q) {
  if (q.type == QuantType::kInt8) return "int8";
  return cat(q.type == QuantType::kNf4 ? "nf4" : "fp4", ", blocks of ", q.block,
             q.double_quant ? ", double" : "");
}

std::string files_that_exist(const fs::path& folder, std::initializer_list<const char*> names) {
  std::string out;
  for (const char* name : names)
    if (input_exists(folder / name)) out += cat(out.empty() ? "" : ", ", name);
  return out.empty() ? "none" : out;
}

Json config_summary(const ModelConfig& c, const fs::path& folder) {
  Json s = Json::object({{"family", c.family},
                         {"architecture", c.architecture},
                         {"parameters", dense_parameters(c)},
                         {"layers", c.layers},
                         {"hidden_size", c.hidden_size},
                         {"heads", c.heads},
                         {"kv_heads", c.kv_heads},
                         {"head_dim", c.head_dim},
                         {"intermediate_size", c.intermediate_size},
                         {"vocab_size", c.vocab_size},
                         {"max_position", c.max_position},
                         {"rope", rope_text(c.rope)},
                         {"tied_embeddings", c.tied_embeddings},
                         {"dtype", torch_name(c.dtype)}});
  if (c.window > 0 || !c.layer_window.empty())
    s.set("window", c.window > 0 ? c.window
                                 : *std::max_element(c.layer_window.begin(), c.layer_window.end()));
  if (c.quantization) s.set("quantization", quantization_text(*c.quantization));
  s.set("tokenizer", files_that_exist(folder, {"tokenizer.json", "tokenizer.model"}));
  return s;
}

void check_index(const fs::path& folder, const TensorStore& store) {
  const fs::path path = folder / "model.safetensors.index.json";
  if (store.files().size() < 2 || !input_exists(path)) return;
  uint64_t total = 0;
  for (const auto& [name, t] : store.tensors()) total += t.info.bytes;
  const Json index = read_json_file(path);
  const Json* metadata = index.find("metadata");
  const Json* stated = metadata ? metadata->find("total_size") : nullptr;
  if (stated && stated->is_integer() && stated->as_integer() != static_cast<int64_t>(total))
    throw DataError(cat(path.string(), ": total_size is ", stated->as_integer(),
                        ", the tensors hold ", total, " bytes"));
}

void check_tokenizer(const fs::path& folder, const ModelConfig& config) {
  if (!has_tokenizer(folder)) return;
  const int64_t size = load_tokenizer(folder)->vocab_size();
  if (size > config.vocab_size)
    throw DataError(cat(folder.string(), ": the tokenizer has ", size,
                        " tokens, the model's vocabulary ", config.vocab_size));
}

// The rank of a pair must agree, and both must be there.
void check_pairs(const TensorStore& store, Json::Array& faults) {
  for (const auto& [name, a] : store.tensors()) {
    const size_t at = name.find(".lora_A.");
    if (at == std::string::npos) continue;
    std::string other = name;
    other.replace(at, 8, ".lora_B.");
    const StoredTensor* b = store.find(other);
    if (!b)
      faults.push_back(cat(store.path().string(), ": ", quote(name), " has no lora_B"));
    else if (a.info.shape.size() != 2 || b->info.shape.size() != 2 ||
             a.info.shape[0] != b->info.shape[1])
      faults.push_back(cat(store.path().string(), ": the ranks of ", quote(name), " (",
                           describe_shape(a.info.shape), ") and its lora_B (",
                           describe_shape(b->info.shape), ") differ"));
  }
}

}  // namespace

void inspect_model_folder(const fs::path& path, const InspectOptions& options, Json& document) {
  ModelConfig config;
  const size_t before = document.at("faults").as_array().size();
  collect_faults(document, options, [&] { config = load_model_config(path); });
  const bool known = document.at("faults").as_array().size() == before;
  const TensorStore store(path);
  if (!known) return inspect_safetensors(store, options, document);
  Json::Array& faults = document.find("faults")->as_array();
  Json summary = config_summary(config, path);
  QuantizedTables tables;
  std::set<std::string> used;
  Json::Array tensors;
  uint64_t bytes = 0;
  for (const WeightSpec& spec : model_weights(config)) {
    used.insert(spec.name);
    collect_faults(document, options, [&] {
      const FloatRows rows = stored_weight(store, spec, config, tables);
      const StoredTensor& t = store.at(spec.name);
      tensors.push_back(inspect_tensor(spec.name, dtype_name(t.info.dtype), t.info.shape,
                                       t.info.bytes, &rows, options, faults));
    });
  }
  for (const auto& [name, t] : store.tensors()) {
    bytes += t.info.bytes;
    if (used.contains(name)) continue;
    tensors.push_back(inspect_tensor(name, dtype_name(t.info.dtype), t.info.shape, t.info.bytes,
                                     nullptr, options, faults));
    const bool companion = is_quantization_companion(name) && used.contains(quantized_owner(name));
    if (options.verify && !companion && !is_ignorable_tensor(name, config))
      faults.push_back(cat(t.file->path().string(), ": tensor ", quote(name),
                           " has no place in this family of models"));
  }
  if (options.verify) {
    collect_faults(document, options, [&] { check_index(path, store); });
    collect_faults(document, options, [&] { check_tokenizer(path, config); });
  }
  summary.set("files", uint64_t{store.files().size()});
  summary.set("tensors", uint64_t{store.tensors().size()});
  summary.set("weight_bytes", bytes);
  document.set("summary", std::move(summary));
  document.set("tensors", std::move(tensors));
}

void inspect_adapter_folder(const fs::path& path, const InspectOptions& options, Json& document) {
  const TensorStore store(path / "adapter_model.safetensors");
  inspect_safetensors(store, options, document);
  document.erase("metadata");
  Json summary = Json::object();
  collect_faults(document, options, [&] {
    const LoraConfig c = load_adapter_config(path);
    std::string targets = c.targets_expression;
    for (const std::string& t : c.targets) targets += cat(targets.empty() ? "" : ", ", t);
    summary.set("rank", c.rank);
    summary.set("alpha", c.alpha);
    summary.set("rslora", c.use_rslora);
    summary.set("dropout", c.dropout);
    summary.set("targets", targets);
    if (!c.modules_to_save.empty())
      summary.set("modules_to_save",
                  Json::Array(c.modules_to_save.begin(), c.modules_to_save.end()));
    if (!c.base_model.empty()) summary.set("base_model", c.base_model);
  });
  uint64_t parameters = 0, bytes = 0;
  for (const auto& [name, t] : store.tensors()) {
    parameters += t.info.bytes / dtype_bytes(t.info.dtype);
    bytes += t.info.bytes;
  }
  summary.set("parameters", parameters);
  summary.set("tensors", uint64_t{store.tensors().size()});
  summary.set("weight_bytes", bytes);
  document.set("summary", std::move(summary));
  if (options.verify) check_pairs(store, document.find("faults")->as_array());
}

}  // namespace nibble
