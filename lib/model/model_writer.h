// SPDX-License-Identifier: Apache-2.0
// Weights on their way into a model folder, computed a panel of rows at a time in f32, so that
// writing a model needs memory for a panel and not for the model.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "io/json.h"
#include "io/safetensors.h"
#include "model/config.h"
#include "model/float_rows.h"

namespace nibble {

inline constexpr size_t kMaxShardBytes = 5'000'000'000;  // what transformers had for years

struct WeightSource {
  std::string name;
  std::vector<int64_t> shape;  // (rows, width), or (width)
  /// Computes rows [begin, begin + M): rows is (M, width) f32, written.
  std::function<void(int64_t begin, const Tensor& rows)> fill;

  int64_t rows() const { return shape.size() == 1 ? 1 : shape[0]; }
  int64_t width() const { return shape.back(); }
};

/// A dense tensor (f32, bf16 or f16), which must stay where it is.
WeightSource dense_source(std::string name, const Tensor& tensor);

/// Rows of a panel of a matrix: a multiple of four, about 4 MiB.
int64_t panel_rows(int64_t rows, int64_t width);

/// Gives all rows in `dtype` to `sink`, panel by panel. Throws DataError naming the weight where a
/// value is not finite, or more than `dtype` holds.
void copy_weight(const WeightSource& source, Dtype dtype, const ByteSink& sink);
/// The same of rows [first, first + count).
void copy_weight_rows(const WeightSource& source, int64_t first, int64_t count, Dtype dtype,
                      const ByteSink& sink);
/// Writes the next tensor of `writer`.
void write_weight(TensorWriter& writer, const WeightSource& source, Dtype dtype,
                  const std::function<void()>& written = {});

/// The config.json that a model was loaded from, with the vocabulary, the tie and the dtype as they
/// are now; not quantised.
Json dense_config(const ModelConfig& config, Dtype dtype);

}  // namespace nibble
