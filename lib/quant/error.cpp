// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "base/checked.h"
#include "base/threads.h"
#include "quant/quantize.h"

namespace nibble {
namespace {

struct Sums {
  double max = 0.0, noise = 0.0, signal = 0.0;
};

template <class T>
void add_row(const T* weight, const float* kept, int64_t width, Sums& sums) {
  for (int64_t i = 0; i < width; ++i) {
    const double w = to_float(weight[i]);
    const double error = w - static_cast<double>(kept[i]);
    sums.max = std::max(sums.max, std::abs(error));
    sums.noise += error * error;
    sums.signal += w * w;
  }
}

}  // namespace

QuantizationError quantization_error(const Tensor& weight, const QuantizedMatrix& matrix) {
  // Fixed parts, summed in order, so that a report does not depend on the threads.
  constexpr int64_t kParts = 64;
  const int64_t rows = weight.dim(0), width = weight.dim(1), length = ceil_div(rows, kParts);
  std::array<Sums, kParts> parts{};
  parallel_for(ceil_div(rows, length), 1, [&](int64_t begin, int64_t end) {
    std::vector<float> kept(static_cast<size_t>(width));
    for (int64_t p = begin; p < end; ++p)
      for (int64_t r = p * length; r < std::min(rows, (p + 1) * length); ++r) {
        Sums& sums = parts[static_cast<size_t>(p)];
        dequantize({.out = view(kept.data(), {1, width}), .matrix = matrix, .first_row = r});
        if (weight.dtype == Dtype::kF32)
          add_row(weight.as<float>() + r * width, kept.data(), width, sums);
        else if (weight.dtype == Dtype::kBf16)
          add_row(weight.as<bf16>() + r * width, kept.data(), width, sums);
        else
          add_row(weight.as<f16>() + r * width, kept.data(), width, sums);
      }
  });
  Sums total;
  for (const Sums& s : parts) {
    total.max = std::max(total.max, s.max);
    total.noise += s.noise;
    total.signal += s.signal;
  }
  const auto n = static_cast<double>(weight.elements());
  return {.max = total.max,
          .rms = n > 0 ? std::sqrt(total.noise / n) : 0.0,
          .snr_db = total.noise > 0 ? 10.0 * std::log10(total.signal / total.noise)
                                    : std::numeric_limits<double>::infinity()};
}

}  // namespace nibble
