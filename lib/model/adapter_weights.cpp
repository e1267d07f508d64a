// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "base/quote.h"
#include "model/adapter.h"
#include "model/draw.h"

namespace nibble {
namespace {

constexpr std::string_view kPrefix = "base_model.model.";

TensorStore open_adapter(const fs::path& folder) {
  std::error_code error;
  if (!fs::exists(folder / "adapter_model.safetensors", error) &&
      fs::exists(folder / "adapter_model.bin", error))
    throw UnavailableError(cat((folder / "adapter_model.bin").string(),
                               ": pickled weights are not read; save the adapter as safetensors"));
  return TensorStore(folder / "adapter_model.safetensors");
}

std::string text(const std::vector<int64_t>& shape) {
  std::string out;
  for (const int64_t d : shape) out += cat(out.empty() ? "(" : ",", d);
  return out + ")";
}

[[noreturn]] void bad(const StoredTensor& t, const std::string& fault) {
  throw DataError(cat(t.file->path().string(), ": tensor ", quote(t.info.name, 120), ": ", fault));
}

Tensor tensor_of(const StoredTensor& t) {
  const Dtype d = t.info.dtype;
  if (d != Dtype::kF32 && d != Dtype::kBf16 && d != Dtype::kF16)
    bad(t, cat("is ", dtype_name(d), ", not F32, F16 or BF16"));
  auto* data = const_cast<std::byte*>(t.bytes.data());
  if (t.info.shape.size() == 1) return make_tensor(data, d, {t.info.shape[0]});
  return make_tensor(data, d, {t.info.shape[0], t.info.shape[1]});
}

// The other name under which a parameter is stored: one tensor for embedding and head.
bool shares_head(const Model& model) {
  return model.embedding.parameter >= 0 && model.embedding.parameter == model.head.weight_parameter;
}
std::string head_name(const Model& model) {
  return cat(kPrefix, model.head.name, ".weight");
}

const StoredTensor& stored(const TensorStore& store, const Parameter& p) {
  const StoredTensor* t = store.find(p.name);
  if (!t)
    throw DataError(cat(store.path().string(), ": no tensor ", quote(p.name, 120),
                        "; the adapter is incomplete or was made for another model"));
  if (t->info.shape != p.shape)
    bad(*t, cat("has shape ", text(t->info.shape), ", this model and configuration want ",
                text(p.shape), "; the adapter was made for another model"));
  return *t;
}

// PEFT may write a trained module a second and third time: its untrained copy, and the trained one
// under the wrapper's own name.
bool is_duplicate(const std::string& name) {
  return name.find(".original_module.") != std::string::npos ||
         name.find(".modules_to_save.") != std::string::npos;
}

// Embedding and head as the adapter brings them where they are not trained: the vocabulary was
// resized.
std::vector<std::string> brought_tables(const Model& model) {
  std::vector<std::string> out;
  if (model.embedding.parameter < 0) out.push_back(cat(kPrefix, model.embedding.name, ".weight"));
  if (model.head.weight_parameter < 0) out.push_back(head_name(model));
  return out;
}

void check_fit(const TensorStore& store, const Model& model) {
  for (const Parameter& p : model.parameters.all()) stored(store, p);
  const auto brought = brought_tables(model);
  const auto known = [&](const std::string& name) {
    const auto& all = model.parameters.all();
    return std::any_of(all.begin(), all.end(), [&](const auto& p) { return p.name == name; }) ||
           std::find(brought.begin(), brought.end(), name) != brought.end() ||
           (shares_head(model) && name == head_name(model)) || is_duplicate(name);
  };
  for (const auto& [name, t] : store.tensors())
    if (!known(name))
      bad(t,
          "nothing in adapter_config.json or the model explains it; the adapter was made for "
          "another model");
}

void check_finite(const StoredTensor& t, const Tensor& values) {
  const float* v = values.as<float>();
  if (!std::all_of(v, v + values.elements(), [](float x) { return std::isfinite(x); }))
    bad(t, "holds a NaN or an infinity; the adapter is damaged or its training diverged");
}

}  // namespace

LoraConfig attach_adapter(Model& model, const fs::path& folder) {
  LoraConfig config = load_adapter_config(folder);
  const auto store = std::make_shared<TensorStore>(open_adapter(folder));
  try {
    attach_lora(model, config);
  } catch (const UsageError& error) {
    throw DataError(cat((folder / "adapter_config.json").string(), ": ", error.what()));
  }
  check_fit(*store, model);
  return config;
}

void load_adapter_weights(const fs::path& folder, const Model& model) {
  const TensorStore store = open_adapter(folder);
  check_fit(store, model);
  const auto& all = model.parameters.all();
  for (size_t i = 0; i < all.size(); ++i) {
    const StoredTensor& t = stored(store, all[i]);
    const Tensor value = model.parameters.value(static_cast<int>(i));
    copy_as_f32(tensor_of(t), value);
    check_finite(t, value);
  }
  model.parameters.refresh();
}

void save_adapter(const fs::path& folder, const Model& model, const LoraConfig& config) {
  const auto& all = model.parameters.all();
  std::vector<TensorInfo> infos;
  std::vector<int> order;
  for (size_t i = 0; i < all.size(); ++i) {
    infos.push_back(tensor_info(all[i].name, Dtype::kF32, all[i].shape));
    order.push_back(static_cast<int>(i));
  }
  if (shares_head(model)) {
    const int shared = model.embedding.parameter;
    infos.push_back(
        tensor_info(head_name(model), Dtype::kF32, all[static_cast<size_t>(shared)].shape));
    order.push_back(shared);
  }
  TensorWriter writer(folder, std::move(infos), {{"format", "pt"}}, SIZE_MAX, "adapter_model");
  for (const int index : order) {
    const Tensor value = model.parameters.value(index);
    writer.write(value.as<float>(), static_cast<size_t>(value.elements()) * sizeof(float));
  }
  writer.finish();
  write_text_file(folder / "adapter_config.json",
                  adapter_config_json(config, model).dump(2) + "\n");
}

}  // namespace nibble
