// SPDX-License-Identifier: Apache-2.0
// quantized_matvec and dense_matvec (4-bit codes: matvec_codes.cpp). A vector of x meets a row of W
// in units of two registers; a unit of bf16 weights falls apart into even and odd elements with a
// shift and a mask, so x is laid out that way once a call, unless bf16 is multiplied as it is, in
// pairs. An output is summed alike whatever M is and however rows are shared out: a batch gives the
// bits that its members give alone.
#include "kernels/dequantize.h"

#include <algorithm>
#include <vector>

#include "base/checked.h"
#include "base/threads.h"
#include "kernels/matvec_codes.h"
#include "kernels/quantized_args.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/matvec.cpp"
#include <hwy/foreach_target.h>

#include "kernels/matvec-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nibble {
namespace HWY_NAMESPACE {

using V = hn::Vec<Floats>;
constexpr int64_t kUnit = 2 * kLanes;  // elements of x in two registers, as floats
constexpr int64_t kChunk = 1024;       // floats of a row widened at a time where units do not fit

int64_t unit_length() {
  return kUnit;
}

// Rows of weights. Elements [i, i + kStep) against M vectors of x, of which an element takes
// 1/kPerLane of a lane: first, second += ...; and one element.
/// Widened to pairs of registers by load().
template <class Row>
struct WidenedRow {
  static constexpr int64_t kPerLane = 1, kStep = kUnit;
  template <int M>
  HWY_INLINE void add(int64_t i, const float* x, int64_t stride, V* first, V* second) const {
    const Floats d;
    V w0, w1;
    static_cast<const Row*>(this)->load(i, w0, w1);
    for (int m = 0; m < M; ++m) {
      first[m] = hn::MulAdd(w0, hn::LoadU(d, x + m * stride + i), first[m]);
      second[m] = hn::MulAdd(w1, hn::LoadU(d, x + m * stride + i + kLanes), second[m]);
    }
  }
};
struct F32Row : WidenedRow<F32Row> {
  const float* w;
  explicit F32Row(const float* from) : w(from) {}
  HWY_INLINE void load(int64_t i, V& first, V& second) const {
    first = hn::LoadU(Floats(), w + i);
    second = hn::LoadU(Floats(), w + i + kLanes);
  }
  float at(int64_t i) const { return w[i]; }
};
struct F16Row : WidenedRow<F16Row> {
  const f16* w;
  explicit F16Row(const f16* from) : w(from) {}
  HWY_INLINE void load(int64_t i, V& first, V& second) const {
    const hn::Rebind<hwy::float16_t, Floats> dh;
    const auto* p = reinterpret_cast<const hwy::float16_t*>(w);
    first = hn::PromoteTo(Floats(), hn::LoadU(dh, p + i));
    second = hn::PromoteTo(Floats(), hn::LoadU(dh, p + i + kLanes));
  }
  float at(int64_t i) const { return to_float(w[i]); }
};
struct Int8Row : WidenedRow<Int8Row> {
  const int8_t* w;
  explicit Int8Row(const int8_t* from) : w(from) {}
  HWY_INLINE V widen(int64_t i) const {
    const hn::RebindToSigned<Floats> di;
    return hn::ConvertTo(Floats(),
                         hn::PromoteTo(di, hn::LoadU(hn::Rebind<int8_t, Floats>(), w + i)));
  }
  HWY_INLINE void load(int64_t i, V& first, V& second) const {
    first = widen(i);
    second = widen(i + kLanes);
  }
  float at(int64_t i) const { return static_cast<float>(w[i]); }
};

template <class Element>
struct Bf16Row;

/// Even and odd elements, as x lies.
template <>
struct Bf16Row<float> : WidenedRow<Bf16Row<float>> {
  const bf16* w;
  explicit Bf16Row(const bf16* from) : w(from) {}
  HWY_INLINE void load(int64_t i, V& even, V& odd) const {
    const BitsOf<Floats> du;
    const auto words = load_words(w + i);
    even = hn::BitCast(Floats(), hn::ShiftLeft<16>(words));
    odd = hn::BitCast(Floats(), hn::And(words, hn::Set(du, 0xffff0000u)));
  }
  float at(int64_t i) const { return to_float(w[i]); }
};

#if HWY_TARGET == HWY_AVX3
/// Pairs, as are those of x.
template <Bf16Dot kDot>
struct Bf16Row<Bf16Pair<kDot>> {
  static constexpr int64_t kPerLane = 2, kStep = 2 * kUnit;
  const bf16* w;
  explicit Bf16Row(const bf16* from) : w(from) {}
  template <int M>
  HWY_INLINE void add(int64_t i, const float* x, int64_t stride, V* first, V* second) const {
    const Floats d;
    const V w0 = hn::BitCast(d, load_words(w + i));
    const V w1 = hn::BitCast(d, load_words(w + i + kUnit));
    for (int m = 0; m < M; ++m) {
      const float* at = x + m * stride + i / kPerLane;
      using Pairs = Factor<Bf16Pair<kDot>>;
      first[m] = Pairs::multiply_add(w0, hn::LoadU(d, at), first[m]);
      second[m] = Pairs::multiply_add(w1, hn::LoadU(d, at + kLanes), second[m]);
    }
  }
  float at(int64_t i) const { return to_float(w[i]); }
};
#endif

/// sums[r*M + m] = sum_i x[m,i] * row[r][i] over [0, length).
template <int R, int M, class Row>
HWY_INLINE void dot_tile(const Row* row, const float* x, int64_t stride, int64_t length,
                         float* sums) {
  V total[R * M];
  const int64_t whole = length / Row::kStep * Row::kStep;
  for (int r = 0; r < R; ++r) {
    V first[M], second[M];
    for (int m = 0; m < M; ++m) first[m] = second[m] = hn::Zero(Floats());
    for (int64_t i = 0; i < whole; i += Row::kStep)
      row[r].template add<M>(i, x, stride, first, second);
    for (int m = 0; m < M; ++m) total[r * M + m] = hn::Add(first[m], second[m]);
  }
  sum_all<R * M>(total, sums);
  for (int64_t i = whole; i < length; ++i)
    for (int m = 0; m < M; ++m) {
      const float* at = x + m * stride;
      float element;
      if constexpr (Row::kPerLane == 1)
        element = at[i];
      else
        element = to_float(reinterpret_cast<const bf16*>(at)[i]);
      for (int r = 0; r < R; ++r) sums[r * M + m] += element * row[r].at(i);
    }
}

/// Rows [begin, end) of a matrix whose row o is row_at(o); each sum times factor(o).
template <class RowAt, class RowFactor>
void dense_rows(const Tensor& out, const cpu::Vectors& v, int64_t begin, int64_t end,
                const RowAt& row_at, const RowFactor& factor) {
  for_tiles(end - begin, v.count, [&]<int R, int M>(int64_t r, int64_t vector) {
    using Row = decltype(row_at(0));
    const int64_t o = begin + r;
    float sums[R * M];
    const auto tile = [&]<size_t... i>(std::index_sequence<i...>) {
      const Row row[] = {row_at(o + static_cast<int64_t>(i))...};
      dot_tile<R, M>(row, v.x + vector * v.stride, v.stride, v.length, sums);
    };
    tile(std::make_index_sequence<R>());
    for (int i = 0; i < R; ++i)
      for (int k = 0; k < M; ++k) cpu::put(out, vector + k, o + i, sums[i * M + k] * factor(o + i));
  });
}

/// Rows of codes that do not begin with a lane: widened in chunks, then dotted as floats.
void widened_rows(const Tensor& out, const QuantizedMatrix& matrix, const cpu::Vectors& v,
                  int64_t begin, int64_t end) {
  float chunk[kChunk];
  for (int64_t o = begin; o < end; ++o)
    for (int64_t m = 0; m < v.count; ++m) {
      float sum = 0.0f;
      for (int64_t i = 0; i < v.length; i += kChunk) {
        const int64_t n = std::min(kChunk, v.length - i);
        widen_codes(matrix, o * v.length + i, n, chunk);
        const F32Row row(chunk);
        float part;
        dot_tile<1, 1>(&row, v.x + m * v.stride + i, v.stride, n, &part);
        sum += part;
      }
      cpu::put(out, m, o, sum);
    }
}

void quantized_rows(const Tensor& out, const QuantizedMatrix& m, const cpu::Vectors& v,
                    int64_t begin, int64_t end) {
  if (m.type == QuantType::kInt8) {
    const auto* codes = reinterpret_cast<const int8_t*>(m.codes);
    dense_rows(
        out, v, begin, end, [&](int64_t o) { return Int8Row(codes + o * v.length); },
        [&](int64_t o) { return m.row_scale[o] * kInt8Step; });
    return;
  }
  widened_rows(out, m, v, begin, end);
}

void weight_rows(const DenseMatvec& op, const cpu::Vectors& v, int64_t begin, int64_t end) {
  const auto one = [](int64_t) { return 1.0f; };
  const auto run = [&]<class Row, class T>(const T* w) {
    const auto at = [&](int64_t o) { return Row(w + o * op.weight.row_stride); };
    dense_rows(op.out, v, begin, end, at, one);
  };
  switch (op.weight.dtype) {
    case Dtype::kBf16:
      return with_element(v.dot, [&](auto element) {
        run.template operator()<Bf16Row<decltype(element)>>(op.weight.as<bf16>());
      });
    case Dtype::kF16:
      return run.template operator()<F16Row>(op.weight.as<f16>());
    default:
      return run.template operator()<F32Row>(op.weight.as<float>());
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace nibble
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nibble {
namespace {
HWY_EXPORT(unit_length);
HWY_EXPORT(quantized_rows);
HWY_EXPORT(weight_rows);

/// x in this thread's buffer, which is kept between calls, for weights of this type: bf16 as it is
/// where it is multiplied so, else units split into even and odd elements; floats as they are.
cpu::Vectors lay_out(const Tensor& x, Dtype weights) {
  static thread_local std::vector<float> memory;
  const int64_t m = x.dim(0), length = x.dim(1);
  const int64_t stride = round_up<int64_t>(length, 16);
  float* base = cpu::at_least(memory, m * stride);
  const bool paired = weights == Dtype::kBf16;
  const Bf16Dot dot = paired && x.dtype == Dtype::kBf16 ? bf16_dot() : Bf16Dot::kNone;
  const int64_t unit = NIBBLE_SIMD(unit_length)();
  const int64_t whole = paired ? length / unit * unit : 0;
  for (int64_t r = 0; r < m; ++r) {
    float* out = base + r * stride;
    const auto copy = [&](const auto* in) {
      for (int64_t u = 0; u < whole; u += unit)
        for (int64_t i = 0; i < unit / 2; ++i) {
          out[u + i] = to_float(in[u + 2 * i]);
          out[u + unit / 2 + i] = to_float(in[u + 2 * i + 1]);
        }
      for (int64_t i = whole; i < length; ++i) out[i] = to_float(in[i]);
    };
    if (dot != Bf16Dot::kNone)
      std::copy_n(x.as<bf16>() + r * x.row_stride, length, reinterpret_cast<bf16*>(out));
    else if (x.dtype == Dtype::kF32)
      copy(x.as<float>() + r * x.row_stride);
    else
      copy(x.as<bf16>() + r * x.row_stride);
  }
  return {base, stride, m, length, dot};
}

}  // namespace

namespace cpu {

void quantized_matvec(const QuantizedMatvec& op, Stream) {
  if (std::all_of(op.matrices.begin(), op.matrices.end(), codes_fit_words)) return matvec_codes(op);
  const Vectors v = lay_out(op.x, Dtype::kF32);
  int64_t at = 0;
  for (const QuantizedMatrix& m : op.matrices) {
    const Tensor out = columns(op.out, at, m.out_features);
    parallel_for(m.out_features, matvec_grain(v), [&](int64_t begin, int64_t end) {
      NIBBLE_SIMD(quantized_rows)(out, m, v, begin, end);
    });
    at += m.out_features;
  }
}

void dense_matvec(const DenseMatvec& op, Stream) {
  const Vectors v = lay_out(op.x, op.weight.dtype);
  parallel_for(op.weight.dim(0), matvec_grain(v), [&](int64_t begin, int64_t end) {
    NIBBLE_SIMD(weight_rows)(op, v, begin, end);
  });
}

}  // namespace cpu

void quantized_matvec(const QuantizedMatvec& op, Stream stream) {
  const Args args("quantized_matvec", stream);
  args.require(op.x.rank == 2, "x is no matrix");
  args.require(!op.matrices.empty(), "there is no matrix");
  const int64_t m = op.x.dim(0), width = op.matrices.front().in_features;
  int64_t outputs = 0;
  double bytes = tensor_bytes(op.x) + tensor_bytes(op.out);
  for (const QuantizedMatrix& matrix : op.matrices) {
    check_matrix(args, matrix);
    args.require(matrix.in_features == width, "the matrices differ in width");
    outputs += matrix.out_features;
    bytes += quantized_bytes(matrix, matrix.out_features);
  }
  if (m == 0 || outputs == 0) return;
  args.check("x", op.x, NIBBLE_FLOATS, {m, width}, RowStride::kFree);
  args.check("out", op.out, NIBBLE_FLOATS, {m, outputs}, RowStride::kFree);
  args.work(2.0 * static_cast<double>(m * outputs * width), bytes);
  NIBBLE_CALL_TWIN(args, quantized_matvec, op, stream);
}

void dense_matvec(const DenseMatvec& op, Stream stream) {
  const Args args("dense_matvec", stream);
  args.require(op.x.rank == 2 && op.weight.rank == 2, "x or weight is no matrix");
  const int64_t m = op.x.dim(0), o = op.weight.dim(0), i = op.weight.dim(1);
  if (m == 0 || o == 0) return;
  args.check("weight", op.weight, {Dtype::kF32, Dtype::kBf16, Dtype::kF16}, {o, i},
             RowStride::kFree);
  args.check("x", op.x, NIBBLE_FLOATS, {m, i}, RowStride::kFree);
  args.check("out", op.out, NIBBLE_FLOATS, {m, o}, RowStride::kFree);
  args.work(2.0 * static_cast<double>(m * o * i));
  NIBBLE_CALL_TWIN(args, dense_matvec, op, stream);
}

}  // namespace nibble
#endif
