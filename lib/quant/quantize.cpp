// SPDX-License-Identifier: Apache-2.0
#include "quant/quantize.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/checked.h"
#include "base/quote.h"
#include "kernels/code_books.h"
#include "kernels/quantize.h"
#include "quant/torch_mean.h"

namespace nibble {
namespace {

constexpr int64_t kNestedBlock = 256;

float element(const Tensor& weight, int64_t i) {
  switch (weight.dtype) {
    case Dtype::kF32:
      return weight.as<float>()[i];
    case Dtype::kBf16:
      return to_float(weight.as<bf16>()[i]);
    default:
      return to_float(weight.as<f16>()[i]);
  }
}

[[noreturn]] void refuse(const std::string& name, const Tensor& weight, QuantType type) {
  for (int64_t i = 0; i < weight.elements(); ++i) {
    const float x = element(weight, i);
    const float kept = type == QuantType::kInt8 ? to_float(to_f16(x)) : x;
    if (std::isfinite(kept)) continue;
    const int64_t row = i / weight.dim(1), column = i % weight.dim(1);
    throw DataError(cat("tensor ", quote(name), ": element (", row, ",", column, ") is ",
                        std::isnan(x)   ? "NaN"
                        : std::isinf(x) ? "infinite"
                                        : "beyond the range of f16, which int8 needs",
                        "; such a model cannot be quantised"));
  }
  throw BugError(cat("tensor \"", name, "\": a scale is not finite, yet all weights are"));
}

bool finite(const std::vector<float>& scales) {
  return std::all_of(scales.begin(), scales.end(), [](float s) { return std::isfinite(s); });
}

template <class T>
Tensor flat(std::vector<T>& v) {
  return view(v.data(), {static_cast<int64_t>(v.size())});
}

size_t count(int64_t n) {
  return static_cast<size_t>(n);
}

/// absmax becomes codes of its distance from the mean.
void nest(QuantizedTensor& out) {
  out.nested_offset = torch_mean(out.absmax);
  for (float& a : out.absmax) a -= out.nested_offset;
  const auto blocks = static_cast<int64_t>(out.absmax.size());
  out.absmax_codes.resize(count(blocks));
  out.nested_absmax.resize(count(ceil_div(blocks, kNestedBlock)));
  quantize_dynamic8bit({.codes = flat(out.absmax_codes),
                        .absmax = flat(out.nested_absmax),
                        .values = flat(out.absmax)});
  out.absmax.clear();
}

}  // namespace

void check_options(const QuantizeOptions& options) {
  const int64_t block = options.block;
  if (options.type != QuantType::kInt8 &&
      (block < 32 || block > 4096 || !std::has_single_bit(static_cast<uint64_t>(block))))
    throw UsageError(
        cat("--block-size=", block, ": no block size; use a power of two from 32 to ", 4096));
}

std::string quant_type_name(QuantType type) {
  return type == QuantType::kNf4 ? "nf4" : type == QuantType::kFp4 ? "fp4" : "int8";
}

QuantizedMatrix QuantizedTensor::matrix() const {
  QuantizedMatrix m{.type = options.type,
                    .out_features = out_features,
                    .in_features = in_features,
                    .block = options.block,
                    .codes = codes.data()};
  if (options.type == QuantType::kInt8) {
    m.row_scale = row_scale.data();
    return m;
  }
  m.code_book = code_book(options.type).data();
  if (!options.double_quant) {
    m.absmax = absmax.data();
    return m;
  }
  m.absmax_codes = absmax_codes.data();
  m.nested_map = dynamic_map(DynamicMap::kSigned).data();
  m.nested_absmax = nested_absmax.data();
  m.nested_block = kNestedBlock;
  m.nested_offset = nested_offset;
  return m;
}

void quantize(const std::string& name, const Tensor& weight, const QuantizeOptions& options,
              QuantizedTensor& out) {
  check_options(options);
  CHECK(weight.rank == 2 && weight.dense());
  out.options = options;
  out.dtype = weight.dtype;
  out.out_features = weight.dim(0);
  out.in_features = weight.dim(1);
  const int64_t n = weight.elements();
  out.absmax_codes.clear();
  out.nested_absmax.clear();
  if (options.type == QuantType::kInt8) {
    out.codes.resize(count(n));
    out.row_scale.resize(count(out.out_features));
    quantize_int8({.codes = view(reinterpret_cast<int8_t*>(out.codes.data()),
                                 {out.out_features, out.in_features}),
                   .row_scale = flat(out.row_scale),
                   .weight = weight});
    if (!finite(out.row_scale)) refuse(name, weight, options.type);
    return;
  }
  out.codes.resize(count(ceil_div<int64_t>(n, 2)));
  out.absmax.resize(count(ceil_div(n, options.block)));
  quantize_4bit({.codes = flat(out.codes),
                 .absmax = flat(out.absmax),
                 .weight = weight,
                 .type = options.type,
                 .block = options.block});
  if (!finite(out.absmax)) refuse(name, weight, options.type);
  if (options.double_quant) nest(out);
}

}  // namespace nibble
