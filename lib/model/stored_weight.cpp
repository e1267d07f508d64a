// SPDX-License-Identifier: Apache-2.0
#include "model/stored_weight.h"

#include <algorithm>

#include "base/error.h"
#include "base/quote.h"

namespace nibble {
namespace {

std::string place_of(const StoredTensor& t) {
  return cat(t.file->path().string(), ": tensor ", quote(t.info.name, 160));
}

}  // namespace

FloatRows dense_rows(const StoredTensor& t) {
  const Dtype d = t.info.dtype;
  if (d != Dtype::kF32 && d != Dtype::kF16 && d != Dtype::kBf16)
    throw UnavailableError(cat(place_of(t), " is of type ", dtype_name(d),
                               ", which is not supported; F32, F16 and BF16 are"));
  const int64_t width = t.info.shape.empty() ? 1 : t.info.shape.back();
  const auto elements = static_cast<int64_t>(t.info.bytes / dtype_bytes(d));
  return mapped_rows(place_of(t), ggml_type_of(d), *t.file, t.bytes, width ? elements / width : 0,
                     width);
}

FloatRows stored_weight(const TensorStore& store, const WeightSpec& spec, const ModelConfig& config,
                        QuantizedTables& tables) {
  const StoredTensor& t = store.at(spec.name);
  if (config.quantization && spec.linear && is_quantized(store, spec.name)) {
    const QuantizedMatrix m =
        load_quantized(store, spec.name, spec.shape[0], spec.shape[1], tables);
    return {.name = place_of(t),
            .rows = m.out_features,
            .row_elements = m.in_features,
            .row_bytes = t.bytes.size() / std::max<size_t>(1, static_cast<size_t>(m.out_features)),
            .read =
                [m, to = config.dtype](int64_t row, float* out) {
                  dequantize({.out = view(out, {1, m.in_features}), .matrix = m, .first_row = row});
                  if (to == Dtype::kBf16)
                    for (int64_t i = 0; i < m.in_features; ++i) out[i] = to_float(to_bf16(out[i]));
                  if (to == Dtype::kF16)
                    for (int64_t i = 0; i < m.in_features; ++i) out[i] = to_float(to_f16(out[i]));
                },
            .release = [&t] { t.file->forget(t.offset, t.bytes.size()); }};
  }
  if (t.info.shape != spec.shape)
    throw DataError(cat(place_of(t), " is ", describe_shape(t.info.shape), ", not ",
                        describe_shape(spec.shape), " as config.json says; fetch both again"));
  return dense_rows(t);
}

std::string quantized_owner(const std::string& companion) {
  constexpr std::string_view kWeight = ".weight";
  if (const size_t at = companion.find(kWeight); at != std::string::npos)
    return companion.substr(0, at + kWeight.size());
  return companion.substr(0, companion.rfind('.')) + std::string(kWeight);
}

bool is_ignorable_tensor(const std::string& name, const ModelConfig& config) {
  return name.ends_with("rotary_emb.inv_freq") ||
         (config.tied_embeddings && name == "lm_head.weight");
}

}  // namespace nibble
