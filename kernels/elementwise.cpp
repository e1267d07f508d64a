// SPDX-License-Identifier: Apache-2.0
#include "kernels/elementwise.h"

#include <algorithm>

#include "base/rng.h"
#include "base/threads.h"
#include "kernels/args.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise.cpp"
#include <hwy/foreach_target.h>

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nibble {
namespace HWY_NAMESPACE {
namespace {

// A span is elements [begin, end) of a row; dense tensors are one row.

template <class T>
HWY_INLINE T* place(const Tensor& t, int64_t row, int64_t begin) {
  return t.as<T>() + row * t.row_stride + begin;
}

void cast_span(const Cast& op, int64_t row, int64_t begin, int64_t end) {
  with_float(op.out.dtype, [&](auto to) {
    with_any_float(op.in.dtype, [&](auto from) {
      auto* out = place<decltype(to)>(op.out, row, begin);
      const auto* in = place<decltype(from)>(op.in, row, begin);
      for_vectors(end - begin,
                  [&](int64_t i, auto part) { store(load(in + i, part), out + i, part); });
    });
  });
}

void accumulate_span(const Accumulate& op, int64_t row, int64_t begin, int64_t end) {
  with_float(op.out.dtype, [&](auto to) {
    with_float(op.in.dtype, [&](auto from) {
      auto* out = place<decltype(to)>(op.out, row, begin);
      const auto* in = place<decltype(from)>(op.in, row, begin);
      const Vec alpha = set(op.alpha), beta = set(op.beta);
      if (op.beta == 0.0f)
        for_vectors(end - begin, [&](int64_t i, auto part) {
          store(hn::Mul(load(in + i, part), alpha), out + i, part);
        });
      else
        for_vectors(end - begin, [&](int64_t i, auto part) {
          const Vec scaled = hn::Mul(load(out + i, part), beta);
          store(hn::MulAdd(load(in + i, part), alpha, scaled), out + i, part);
        });
    });
  });
}

void bias_rows(const BiasForward& op, int64_t begin, int64_t end) {
  with_float(op.inout.dtype, [&](auto t) {
    with_float(op.bias.dtype, [&](auto b) {
      const auto* bias = op.bias.as<decltype(b)>();
      for (int64_t n = begin; n < end; ++n) {
        auto* row = place<decltype(t)>(op.inout, n, 0);
        for_vectors(op.bias.dim(0), [&](int64_t i, auto part) {
          store(hn::Add(load(row + i, part), load(bias + i, part)), row + i, part);
        });
      }
    });
  });
}

/// Columns [begin, end): rows in order, 32 at a time in a sum of their own.
template <class T>
void sum_columns(const BiasBackward& op, int64_t begin, int64_t end) {
  constexpr int64_t kRows = 32, kColumns = 1024;  // 4 KiB of sums stay in the nearest cache
  const int64_t rows = op.dout.dim(0);
  alignas(64) float sums[kColumns];
  for (int64_t first = begin; first < end; first += kColumns) {
    const int64_t width = std::min(kColumns, end - first);
    float* out = op.dbias.as<float>() + first;
    for (int64_t r = 0; r < rows; r += kRows) {
      std::fill_n(sums, width, 0.0f);
      for (int64_t n = r; n < std::min(rows, r + kRows); ++n) {
        const T* row = place<T>(op.dout, n, first);
        for_vectors(width, [&](int64_t i, auto part) {
          store(hn::Add(load(sums + i, part), load(row + i, part)), sums + i, part);
        });
      }
      for_vectors(width, [&](int64_t i, auto part) {
        store(hn::Add(load(out + i, part), load(sums + i, part)), out + i, part);
      });
    }
  }
}
void bias_columns(const BiasBackward& op, int64_t begin, int64_t end) {
  with_float(op.dout.dtype, [&](auto t) { sum_columns<decltype(t)>(op, begin, end); });
}

/// The draws for 64 elements at a time: word i is philox(seed, stream, counter + i/4)[i%4].
class Words {
 public:
  static constexpr int64_t kCount = 64;

  Words(uint64_t seed, uint64_t stream) : seed_(seed), stream_(stream) {
    uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
    for (auto& keys : keys_) {
      keys[0] = k0;
      keys[1] = k1;
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
  }

  HWY_INLINE void draw(uint64_t counter) {
#if HWY_TARGET == HWY_SCALAR
    for (size_t j = 0; j < kCount / 4; ++j) {
      const auto words = philox(seed_, stream_, counter + j);
      std::copy(words.begin(), words.end(), words_ + 4 * j);
    }
#else
    // A counter a 64-bit lane, whose low half is the word; what is in the high half is ignored.
    const hn::ScalableTag<uint64_t> d;
    const hn::Repartition<uint32_t, decltype(d)> d32;
    const auto low_half = hn::Set(d, 0xffffffffu);
    for (size_t j = 0; j < kCount / 4; j += hn::Lanes(d)) {
      auto c0 = hn::Add(hn::Set(d, counter + j), hn::Iota(d, 0));
      auto c1 = hn::ShiftRight<32>(c0);
      auto c2 = hn::Set(d, stream_), c3 = hn::Set(d, stream_ >> 32);
      for (const auto& keys : keys_) {
        const auto p0 = hn::MulEven(hn::BitCast(d32, c0), hn::Set(d32, 0xD2511F53u));
        const auto p1 = hn::MulEven(hn::BitCast(d32, c2), hn::Set(d32, 0xCD9E8D57u));
        c0 = hn::Xor3(hn::ShiftRight<32>(p1), c1, hn::Set(d, keys[0]));
        c2 = hn::Xor3(hn::ShiftRight<32>(p0), c3, hn::Set(d, keys[1]));
        c1 = p1;
        c3 = p0;
      }
      const auto first = hn::Or(hn::And(c0, low_half), hn::ShiftLeft<32>(c1));
      const auto second = hn::Or(hn::And(c2, low_half), hn::ShiftLeft<32>(c3));
      hn::StoreInterleaved2(first, second, d, reinterpret_cast<uint64_t*>(words_ + 4 * j));
    }
#endif
  }

  /// unit_float of words [at, at + kLanes).
  HWY_INLINE Vec unit(int64_t at) const {
    const auto bits = hn::ShiftRight<8>(hn::LoadU(U32(), words_ + at));
    return hn::Mul(hn::ConvertTo(F32(), hn::BitCast(I32(), bits)), set(0x1p-24f));
  }

 private:
  uint64_t seed_, stream_;
  uint64_t keys_[10][2];                              // a round each
  alignas(64) uint32_t words_[kCount + kLanes] = {};  // a part's vector may reach past the last
};

template <class T>
void drop(const Dropout& op, int64_t begin, int64_t end) {
  const Vec p = set(op.p), scale = set(1.0f / (1.0f - op.p));
  const bool add = op.output == Dropout::Output::kAdd;
  const bool dense = op.in.dense() && op.out.dense();  // then all is one row
  const int64_t c = dense ? op.out.elements() : op.out.dim(1);
  Words words(op.seed, op.stream);
  for (int64_t block = begin; block < end; block += Words::kCount) {
    words.draw(op.counter + static_cast<uint64_t>(block) / 4);
    const int64_t last = std::min(end, block + Words::kCount);
    for (int64_t at = block; at < last;) {  // the part of each row that lies in this block
      const int64_t row = at / c, column = at % c, stop = std::min(last, (row + 1) * c);
      const T* in = op.in.as<T>() + row * op.in.row_stride + column;
      T* out = op.out.as<T>() + row * op.out.row_stride + column;
      for_vectors(stop - at, [&](int64_t i, auto part) {
        const auto kept = hn::Ge(words.unit(at - block + i), p);
        const Vec value = hn::IfThenElseZero(kept, hn::Mul(load(in + i, part), scale));
        store(add ? hn::Add(load(out + i, part), value) : value, out + i, part);
      });
      at = stop;
    }
  }
}
void dropout_span(const Dropout& op, int64_t begin, int64_t end) {
  with_float(op.out.dtype, [&](auto t) { drop<decltype(t)>(op, begin, end); });
}

template <class T>
void add_noise(const UniformNoise& op, int64_t begin, int64_t end) {
  const int64_t c = op.inout.dim(1);
  Words words(op.seed, op.stream);
  for (int64_t block = begin; block < end; block += Words::kCount) {
    words.draw(op.counter + static_cast<uint64_t>(block) / 4);
    const int64_t last = std::min(end, block + Words::kCount);
    for (int64_t at = block; at < last;) {  // the part of each row that lies in this block
      const int64_t row = at / c, stop = std::min(last, (row + 1) * c);
      const Vec scale = set(op.scales.as<float>()[row]);
      T* inout = op.inout.as<T>() + at;
      for_vectors(stop - at, [&](int64_t i, auto part) {
        const Vec unit = words.unit(at - block + i);
        const Vec u = hn::Sub(hn::Add(unit, unit), set(1.0f));
        store(hn::MulAdd(u, scale, load(inout + i, part)), inout + i, part);
      });
      at = stop;
    }
  }
}
void noise_span(const UniformNoise& op, int64_t begin, int64_t end) {
  with_float(op.inout.dtype, [&](auto t) { add_noise<decltype(t)>(op, begin, end); });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace nibble
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nibble {
namespace {
HWY_EXPORT(cast_span);
HWY_EXPORT(accumulate_span);
HWY_EXPORT(bias_rows);
HWY_EXPORT(bias_columns);
HWY_EXPORT(dropout_span);
HWY_EXPORT(noise_span);

constexpr int64_t kSpan = 8192;  // elements a thread takes at least; whole blocks of random words
static_assert(kSpan % 64 == 0);

/// span(op, row, begin, end) for parts that cover op.out and op.in.
template <class Op>
void for_spans(const Op& op, void (*span)(const Op&, int64_t, int64_t, int64_t)) {
  struct Task {
    const Op& op;
    void (*span)(const Op&, int64_t, int64_t, int64_t);
  } const task{op, span};
  if (op.out.dense() && op.in.dense())
    return parallel_for(op.out.elements(), kSpan,
                        [&task](int64_t begin, int64_t end) { task.span(task.op, 0, begin, end); });
  const int64_t width = op.out.row_elements();
  parallel_for(op.out.dim(0), row_grain(width), [&task](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) task.span(task.op, n, 0, task.op.out.row_elements());
  });
}

uint64_t first_counter(const Tensor& draw) {
  return draw ? static_cast<uint64_t>(*draw.as<int32_t>()) << kDrawShift : 0;
}

}  // namespace

namespace cpu {

void cast(const Cast& op, Stream) {
  for_spans(op, NIBBLE_SIMD(cast_span));
}

void accumulate(const Accumulate& op, Stream) {
  for_spans(op, NIBBLE_SIMD(accumulate_span));
}

void bias_forward(const BiasForward& op, Stream) {
  parallel_for(op.inout.dim(0), row_grain(op.inout.dim(1)), [&op](int64_t begin, int64_t end) {
    NIBBLE_SIMD(bias_rows)(op, begin, end);
  });
}

void bias_backward(const BiasBackward& op, Stream) {
  parallel_for(op.dbias.dim(0), kColumnGrain, [&op](int64_t begin, int64_t end) {
    NIBBLE_SIMD(bias_columns)(op, begin, end);
  });
}

void dropout(const Dropout& given, Stream) {
  Dropout op = given;
  op.counter += first_counter(op.draw);
  parallel_for(op.out.elements(), kSpan, [&op](int64_t begin, int64_t end) {
    NIBBLE_SIMD(dropout_span)(op, begin, end);
  });
}

void uniform_noise(const UniformNoise& given, Stream) {
  UniformNoise op = given;
  op.counter += first_counter(op.draw);
  parallel_for(op.inout.elements(), kSpan, [&op](int64_t begin, int64_t end) {
    NIBBLE_SIMD(noise_span)(op, begin, end);
  });
}

}  // namespace cpu

void cast(const Cast& op, Stream stream) {
  const Args args("cast", stream);
  args.check_like("out", op.out, NIBBLE_FLOATS, op.in, RowStride::kFree);
  args.check_like("in", op.in, {Dtype::kF32, Dtype::kBf16, Dtype::kF16}, op.out, RowStride::kFree);
  NIBBLE_CALL_TWIN(args, cast, op, stream);
}

void accumulate(const Accumulate& op, Stream stream) {
  const Args args("accumulate", stream);
  args.check_like("out", op.out, NIBBLE_FLOATS, op.in, RowStride::kFree);
  args.check_like("in", op.in, NIBBLE_FLOATS, op.out, RowStride::kFree);
  NIBBLE_CALL_TWIN(args, accumulate, op, stream);
}

void bias_forward(const BiasForward& op, Stream stream) {
  const Args args("bias_forward", stream);
  args.require(op.inout.rank == 2, "inout is not a matrix");
  const int64_t n = op.inout.dim(0), o = op.inout.dim(1);
  args.check("inout", op.inout, NIBBLE_FLOATS, {n, o}, RowStride::kFree);
  args.check("bias", op.bias, NIBBLE_FLOATS, {o});
  NIBBLE_CALL_TWIN(args, bias_forward, op, stream);
}

void bias_backward(const BiasBackward& op, Stream stream) {
  const Args args("bias_backward", stream);
  args.require(op.dout.rank == 2, "dout is not a matrix");
  const int64_t n = op.dout.dim(0), o = op.dout.dim(1);
  args.check("dout", op.dout, NIBBLE_FLOATS, {n, o}, RowStride::kFree);
  args.check("dbias", op.dbias, {Dtype::kF32}, {o});
  NIBBLE_CALL_TWIN(args, bias_backward, op, stream);
}

void dropout(const Dropout& op, Stream stream) {
  const Args args("dropout", stream);
  args.check_like("out", op.out, NIBBLE_FLOATS, op.in, RowStride::kFree);
  args.check_like("in", op.in, {op.out.dtype}, op.out, RowStride::kFree);
  args.require(op.p >= 0.0f && op.p < 1.0f, "p is not in [0, 1)");
  if (op.draw) args.check("draw", op.draw, {Dtype::kI32}, {1});
  NIBBLE_CALL_TWIN(args, dropout, op, stream);
}

void uniform_noise(const UniformNoise& op, Stream stream) {
  const Args args("uniform_noise", stream);
  args.require(op.inout.rank == 2, "inout is not a matrix");
  const int64_t n = op.inout.dim(0), c = op.inout.dim(1);
  args.check("inout", op.inout, NIBBLE_FLOATS, {n, c});
  args.check("scales", op.scales, {Dtype::kF32}, {n});
  if (op.draw) args.check("draw", op.draw, {Dtype::kI32}, {1});
  NIBBLE_CALL_TWIN(args, uniform_noise, op, stream);
}

}  // namespace nibble
#endif  // HWY_ONCE
