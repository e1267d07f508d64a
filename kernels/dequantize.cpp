// SPDX-License-Identifier: Apache-2.0
#include "kernels/dequantize.h"

#include <bit>

#include "base/threads.h"
#include "kernels/quantized_args.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/dequantize.cpp"
#include <hwy/foreach_target.h>

#include "kernels/dequantize-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nibble {
namespace HWY_NAMESPACE {

// Row `row` of an int8 matrix: (code * scale) * (1/127), in the order of bitsandbytes.
template <class T>
void widen_int8_row(const QuantizedMatrix& m, int64_t row, T* out) {
  const Floats d;
  const hn::RebindToSigned<Floats> di;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto* codes = reinterpret_cast<const int8_t*>(m.codes) + row * m.in_features;
  const float scale = m.row_scale[row];
  int64_t i = 0;
  for (; i + lanes <= m.in_features; i += lanes) {
    const auto code = hn::PromoteTo(di, hn::LoadU(hn::Rebind<int8_t, Floats>(), codes + i));
    const auto value =
        hn::Mul(hn::Mul(hn::ConvertTo(d, code), hn::Set(d, scale)), hn::Set(d, kInt8Step));
    if constexpr (std::is_same_v<T, bf16>) {
      const BitsOf<Floats> du;
      const auto high = hn::ShiftRight<16>(hn::BitCast(du, round_to_bf16(d, value)));
      const hn::Rebind<uint16_t, Floats> dh;
      hn::StoreU(hn::DemoteTo(dh, hn::BitCast(di, high)), dh, reinterpret_cast<uint16_t*>(out + i));
    } else {
      hn::StoreU(value, d, out + i);
    }
  }
  for (; i < m.in_features; ++i)
    out[i] = from_float<T>(static_cast<float>(codes[i]) * scale * kInt8Step);
}

template <class T>
void widen_rows(const Dequantize& op, int64_t begin, int64_t end) {
  const QuantizedMatrix& m = op.matrix;
  for (int64_t r = begin; r < end; ++r) {
    T* out = op.out.as<T>() + r * op.out.row_stride;
    if (m.type == QuantType::kInt8)
      widen_int8_row(m, op.first_row + r, out);
    else
      widen_codes(m, (op.first_row + r) * m.in_features, m.in_features, out);
  }
}

void dequantize_rows(const Dequantize& op, int64_t begin, int64_t end) {
  if (op.out.dtype == Dtype::kBf16)
    widen_rows<bf16>(op, begin, end);
  else
    widen_rows<float>(op, begin, end);
}

}  // namespace HWY_NAMESPACE
}  // namespace nibble
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nibble {
namespace {
HWY_EXPORT(dequantize_rows);
}  // namespace

void check_matrix(const Args& args, const QuantizedMatrix& m) {
  args.require(m.out_features >= 0 && m.in_features >= 0, "the matrix has a negative size");
  args.require(m.codes != nullptr, "the matrix has no codes");
  if (m.type == QuantType::kInt8)
    return args.require(m.row_scale != nullptr, "the int8 matrix has no row_scale");
  args.require(m.code_book != nullptr, "the matrix has no code book");
  args.require(m.block > 0 && std::has_single_bit(static_cast<uint64_t>(m.block)),
               "the block is no power of two");
  if (m.absmax != nullptr) return;
  args.require(m.absmax_codes && m.nested_map && m.nested_absmax, "the matrix has no absmax");
  args.require(m.nested_block > 0, "the nested block is no size");
}

double quantized_bytes(const QuantizedMatrix& m, int64_t rows) {
  const double elements = static_cast<double>(rows * m.in_features);
  if (m.type == QuantType::kInt8) return elements + 4.0 * static_cast<double>(rows);
  return elements / 2 + elements / static_cast<double>(m.block) * (m.absmax ? 4.0 : 1.0);
}

namespace cpu {

void dequantize(const Dequantize& op, Stream) {
  parallel_pieces(op.out.dim(0), row_grain(op.out.dim(1)), [&op](int64_t begin, int64_t end) {
    NIBBLE_SIMD(dequantize_rows)(op, begin, end);
  });
}

}  // namespace cpu

void dequantize(const Dequantize& op, Stream stream) {
  const Args args("dequantize", stream);
  check_matrix(args, op.matrix);
  args.require(op.out.rank == 2, "out is no matrix");
  const int64_t rows = op.out.dim(0);
  args.require(op.first_row >= 0 && op.first_row <= op.matrix.out_features - rows,
               "the rows lie outside the matrix");
  if (rows == 0 || op.matrix.in_features == 0) return;
  args.check("out", op.out, NIBBLE_FLOATS, {rows, op.matrix.in_features}, RowStride::kFree);
  args.work(0.0, tensor_bytes(op.out) + quantized_bytes(op.matrix, rows));
  NIBBLE_CALL_TWIN(args, dequantize, op, stream);
}

}  // namespace nibble
#endif
