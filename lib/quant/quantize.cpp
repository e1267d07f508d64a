// SPDX-License-Identifier: Apache-2.0
#include "quant/quantize.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

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

// `first`: the row of the tensor that the weight's first one is.
[[noreturn]] void refuse(const std::string& name, const Tensor& weight, QuantType type,
                         int64_t first) {
  for (int64_t i = 0; i < weight.elements(); ++i) {
    const float x = element(weight, i);
    const float kept = type == QuantType::kInt8 ? to_float(to_f16(x)) : x;
    if (std::isfinite(kept)) continue;
    const int64_t row = first + i / weight.dim(1), column = i % weight.dim(1);
    throw DataError(cat("tensor ", quote(name), ": element (", row, ",", column, ") is ",
                        std::isnan(x)   ? "NaN"
                        : std::isinf(x) ? "infinite"
                                        : "beyond the range of f16, which int8 needs",
                        "; such a model cannot be quantised"));
  }
  throw BugError(cat("tensor \"", name, "\": a scale is not finite, yet all weights are"));
}

bool finite(const Tensor& scales) {
  const float* s = scales.as<float>();
  return std::all_of(s, s + scales.elements(), [](float x) { return std::isfinite(x); });
}

// Elements [begin, begin + n) of a list.
template <class T>
Tensor part(std::vector<T>& v, int64_t begin, int64_t n) {
  CHECK(begin >= 0 && n >= 0 && begin + n <= static_cast<int64_t>(v.size()));
  return view(v.data() + begin, {n});
}

template <class T>
Tensor flat(std::vector<T>& v) {
  return view(v.data(), {static_cast<int64_t>(v.size())});
}

size_t size_of(int64_t n) {
  return static_cast<size_t>(n);
}

/// absmax becomes codes of its distance from the mean.
void nest(QuantizedTensor& out) {
  out.nested_offset = torch_mean(out.absmax);
  for (float& a : out.absmax) a -= out.nested_offset;
  const auto blocks = static_cast<int64_t>(out.absmax.size());
  out.absmax_codes.resize(size_of(blocks));
  out.nested_absmax.resize(size_of(ceil_div(blocks, kNestedBlock)));
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

size_t code_bytes(QuantType type, int64_t weights) {
  return size_of(type == QuantType::kInt8 ? weights : ceil_div<int64_t>(weights, 2));
}

int64_t part_rows(const QuantizeOptions& options, int64_t in_features, int64_t weights) {
  const int64_t unit =
      options.type == QuantType::kInt8 ? 1 : options.block / std::gcd(options.block, in_features);
  return std::max<int64_t>(1, weights / (unit * in_features)) * unit;
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

PartQuantizer::PartQuantizer(std::string name, Dtype dtype, int64_t out_features,
                             int64_t in_features, const QuantizeOptions& options,
                             QuantizedTensor& out, Codes codes)
    : name_(std::move(name)), out_(out) {
  check_options(options);
  out.options = options;
  out.dtype = dtype;
  out.out_features = out_features;
  out.in_features = in_features;
  out.absmax_codes.clear();
  out.nested_absmax.clear();
  const int64_t n = out_features * in_features;
  out.codes.resize(codes == Codes::kKept ? code_bytes(options.type, n) : 0);
  if (options.type == QuantType::kInt8)
    out.row_scale.resize(size_of(out_features));
  else
    out.absmax.resize(size_of(ceil_div(n, options.block)));
}

void PartQuantizer::add(const Tensor& rows) {
  const int64_t first = done_;
  CHECK(out_.codes.size() == code_bytes(out_.options.type, out_.out_features * out_.in_features));
  make(first, rows, out_.codes.data() + code_bytes(out_.options.type, first * out_.in_features));
}

void PartQuantizer::count(int64_t first, const Tensor& rows) {
  CHECK(rows.rank == 2 && rows.dense() && rows.dim(1) == out_.in_features);
  CHECK(rows.dtype == out_.dtype && first + rows.dim(0) <= out_.out_features);
  const int64_t n = rows.elements(), block = out_.options.block;
  CHECK(out_.options.type == QuantType::kInt8 ||
        (first * out_.in_features % block == 0 &&
         (n % block == 0 || first + rows.dim(0) == out_.out_features)));
  done_ += rows.dim(0);
}

Tensor PartQuantizer::scales(int64_t first, const Tensor& rows) {
  if (out_.options.type == QuantType::kInt8) return part(out_.row_scale, first, rows.dim(0));
  const int64_t block = out_.options.block;
  return part(out_.absmax, first * out_.in_features / block, ceil_div(rows.elements(), block));
}

void PartQuantizer::make(int64_t first, const Tensor& rows, uint8_t* codes) {
  count(first, rows);
  const QuantizeOptions& options = out_.options;
  const Tensor made = scales(first, rows);
  if (options.type == QuantType::kInt8)
    quantize_int8({.codes = view(reinterpret_cast<int8_t*>(codes), {rows.dim(0), rows.dim(1)}),
                   .row_scale = made,
                   .weight = rows});
  else
    quantize_4bit({.codes = view(codes, {ceil_div<int64_t>(rows.elements(), 2)}),
                   .absmax = made,
                   .weight = rows,
                   .type = options.type,
                   .block = options.block});
  if (!finite(made)) refuse(name_, rows, options.type, first);
}

void PartQuantizer::take(int64_t first, const QuantizedPart& given) {
  const Tensor& rows = given.rows;
  count(first, rows);
  const QuantType type = out_.options.type;
  const Tensor kept = scales(first, rows);
  std::copy_n(given.scales, kept.elements(), kept.as<float>());
  if (!finite(kept)) refuse(name_, rows, type, first);
  if (!out_.codes.empty())
    std::copy_n(given.codes, code_bytes(type, rows.elements()),
                out_.codes.data() + code_bytes(type, first * out_.in_features));
}

void PartQuantizer::finish() {
  CHECK(done_ == out_.out_features);
  if (out_.options.type != QuantType::kInt8 && out_.options.double_quant) nest(out_);
}

void quantize(const std::string& name, const Tensor& weight, const QuantizeOptions& options,
              QuantizedTensor& out) {
  CHECK(weight.rank == 2 && weight.dense());
  PartQuantizer whole(name, weight.dtype, weight.dim(0), weight.dim(1), options, out);
  whole.add(weight);
  whole.finish();
}

}  // namespace nibble
