// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "base/quote.h"
#include "model/adapter.h"
#include "model/draw.h"

namespace nibble {
namespace {

constexpr std::string_view kPrefix = "base_model.model.";
constexpr int64_t kMaxVocabulary = int64_t{1} << 24;

TensorStore open_adapter(const fs::path& folder) {
  if (!input_exists(folder / "adapter_model.safetensors") &&
      input_exists(folder / "adapter_model.bin"))
    throw UnavailableError(cat((folder / "adapter_model.bin").string(),
                               ": pickled weights are not read; save the adapter as safetensors"));
  return TensorStore(folder / "adapter_model.safetensors");
}

std::string text(const std::vector<int64_t>& shape) {
  std::string out;
  for (const int64_t d : shape) out += cat(out.empty() ? "(" : ",", d);
  return out + ")";
}

std::vector<int64_t> shape_of(const Tensor& t) {
  return {t.shape.begin(), t.shape.begin() + t.rank};
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

template <class T>
bool all_finite(const Tensor& t) {
  const T* v = t.as<T>();
  return std::all_of(v, v + t.elements(), [](T x) { return std::isfinite(to_float(x)); });
}

Tensor finite_tensor(const StoredTensor& from) {
  const Tensor t = tensor_of(from);
  const bool finite = t.dtype == Dtype::kF32   ? all_finite<float>(t)
                      : t.dtype == Dtype::kF16 ? all_finite<f16>(t)
                                               : all_finite<bf16>(t);
  if (!finite)
    bad(from, "holds a NaN or an infinity; the adapter is damaged or its training diverged");
  return t;
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
  const std::string module = name.substr(0, name.rfind('.'));
  return module.ends_with(".original_module") || module.ends_with(".modules_to_save");
}

std::string weight_name(const std::string& module) {
  return cat(kPrefix, module, ".weight");
}

// Where the vocabulary has grown, PEFT stores embedding and head, trained or not. What is stored
// takes the base's place; its number of rows is the model's vocabulary from here on.
void adopt_tables(Model& model, const TensorStore& store) {
  const StoredTensor* embedding = store.find(weight_name(model.embedding.name));
  const StoredTensor* head = store.find(weight_name(model.head.name));
  const int64_t width = model.config.hidden_size;
  for (const StoredTensor* t : {embedding, head})
    if (t && (t->info.shape.size() != 2 || t->info.shape[1] != width ||
              t->info.shape[0] < model.config.vocab_size || t->info.shape[0] > kMaxVocabulary))
      bad(*t, cat("has shape ", text(t->info.shape), ", this model's is (", model.config.vocab_size,
                  ",", width, "); the adapter was made for another model"));
  if (embedding) model.embedding.weight = finite_tensor(*embedding);
  if (head) {
    model.head.weight = finite_tensor(*head);
    model.head.quantized.reset();
  } else if (embedding && model.config.tied_embeddings &&
             embedding->info.shape[0] != model.config.vocab_size) {
    model.head.weight = model.embedding.weight;
  }
  const int64_t rows = model.embedding.weight.dim(0);
  const int64_t head_rows = head ? model.head.weight.dim(0) : model.head.out_features;
  if (model.head.weight.data != model.embedding.weight.data && head_rows != rows)
    throw DataError(cat(store.path().string(), ": the embedding has ", rows, " rows, the head ",
                        head_rows, "; the adapter is incomplete or was made for another model"));
  model.config.vocab_size = model.head.out_features = rows;
}

void check_fit(const TensorStore& store, const Model& model) {
  for (const Parameter& p : model.parameters.all()) stored(store, p);
  const auto known = [&](const std::string& name) {
    const auto& all = model.parameters.all();
    return std::any_of(all.begin(), all.end(), [&](const auto& p) { return p.name == name; }) ||
           name == weight_name(model.embedding.name) || name == weight_name(model.head.name) ||
           is_duplicate(name);
  };
  for (const auto& [name, t] : store.tensors())
    if (!known(name))
      bad(t,
          "nothing in adapter_config.json or the model explains it; the adapter was made for "
          "another model");
}

}  // namespace

LoraConfig attach_adapter(Model& model, const fs::path& folder) {
  LoraConfig config = load_adapter_config(folder);
  const auto store = std::make_shared<TensorStore>(open_adapter(folder));
  model.adapter_store = store;
  adopt_tables(model, *store);
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
    copy_as_f32(finite_tensor(t), value);
    t.file->forget(t.offset, t.bytes.size());
  }
  model.parameters.refresh();
}

void save_adapter(const fs::path& folder, const Model& model, const LoraConfig& config) {
  std::vector<TensorInfo> infos;
  std::vector<Tensor> values;
  const auto add = [&](const std::string& name, const Tensor& value) {
    infos.push_back(tensor_info(name, value.dtype, shape_of(value)));
    values.push_back(value);
  };
  const auto& all = model.parameters.all();
  for (size_t i = 0; i < all.size(); ++i)
    add(all[i].name, model.parameters.value(static_cast<int>(i)));
  // Tied embedding and head are one parameter with two names. Tables of another size than the
  // base's are stored whether trained or not.
  const int embedding = model.embedding.parameter, head = model.head.weight_parameter;
  const auto resized = [&](const Tensor& table) {
    const Json* base = model.config.raw.find("vocab_size");
    return !base || !base->is_integer() || base->as_integer() != table.dim(0);
  };
  if (embedding < 0 && resized(model.embedding.weight))
    add(weight_name(model.embedding.name), model.embedding.weight);
  if (head >= 0 && head == embedding)
    add(weight_name(model.head.name), model.parameters.value(head));
  else if (head < 0 && !model.head.quantized && resized(model.head.weight))
    add(weight_name(model.head.name), model.head.weight);

  TensorWriter writer(folder, std::move(infos), {{"format", "pt"}}, SIZE_MAX, "adapter_model");
  for (const Tensor& value : values) writer.write(value.data, value.bytes());
  writer.finish();
  write_text_file(folder / "adapter_config.json",
                  adapter_config_json(config, model).dump(2) + "\n");
}

}  // namespace nibble
