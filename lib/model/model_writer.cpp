// SPDX-License-Identifier: Apache-2.0
#include "model/model_writer.h"

#include <algorithm>

#include "base/checked.h"
#include "kernels/elementwise.h"

namespace nibble {
namespace {

constexpr int64_t kPanelElements = int64_t{1} << 20;

}  // namespace

WeightSource dense_source(std::string name, const Tensor& tensor) {
  const bool vector = tensor.rank == 1;
  const int64_t count = vector ? 1 : tensor.dim(0);
  const int64_t width = vector ? tensor.dim(0) : tensor.dim(1);
  const Tensor matrix = make_tensor(tensor.data, tensor.dtype, {count, width});
  return {.name = std::move(name),
          .shape = vector ? std::vector<int64_t>{width} : std::vector<int64_t>{count, width},
          .fill = [matrix](int64_t begin, const Tensor& out) {
            cast({.out = out, .in = rows(matrix, begin, out.dim(0))});
          }};
}

int64_t panel_rows(int64_t rows, int64_t width) {
  return std::min(rows, ceil_div(kPanelElements / 4, width) * 4);
}

void copy_weight(const WeightSource& source, Dtype dtype, const ByteSink& sink) {
  copy_weight_rows(source, 0, source.rows(), dtype, sink);
}

void copy_weight_rows(const WeightSource& source, int64_t first, int64_t row_count, Dtype dtype,
                      const ByteSink& sink) {
  const int64_t part = std::min(panel_rows(source.rows(), source.width()), row_count);
  const int64_t width = source.width();
  const int64_t end = first + row_count;
  std::vector<float> panel(static_cast<size_t>(part * width));
  for (int64_t begin = first; begin < end; begin += part) {
    const int64_t count = std::min(part, end - begin);
    source.fill(begin, view(panel.data(), {count, width}));
    const std::string place = begin == 0 ? "" : cat(" (from row ", begin, " on)");
    copy_rows(stored_rows(source.name + place, GgmlType::kF32,
                          reinterpret_cast<const std::byte*>(panel.data()), count, width),
              ggml_type_of(dtype), sink);
  }
}

void write_weight(TensorWriter& writer, const WeightSource& source, Dtype dtype,
                  const std::function<void()>& written) {
  CHECK(writer.current() && writer.current()->name == source.name &&
        writer.current()->dtype == dtype);
  copy_weight(source, dtype, [&](const void* data, size_t bytes) {
    writer.write(data, bytes);
    if (written) written();
  });
}

Json dense_config(const ModelConfig& config, Dtype dtype) {
  Json out = config.raw;
  out.set(out.find("torch_dtype") && !out.find("dtype") ? "torch_dtype" : "dtype",
          torch_name(dtype));
  out.set("vocab_size", config.vocab_size);
  out.set("tie_word_embeddings", config.tied_embeddings);
  out.erase("quantization_config");
  return out;
}

}  // namespace nibble
