// SPDX-License-Identifier: Apache-2.0
// A group of lanes takes a few heads of one kind (queries, keys, values) of one row: each lane four
// columns of a head's first half and the four of the second that they are turned with, which it
// reads once and holds.
#include "kernels/qk.h"

#include "kernels/cuda/twins.h"
#include "kernels/cuda/values.h"

namespace nibble::cuda {
namespace {

constexpr int kPairs = 4;  // of a lane: an access of half a head, 16 bytes of a table
constexpr int kHeads = 4;  // of a group of lanes, where there are many rows
constexpr int kManyRows = 64;

/// Heads of one kind.
template <class T, class W>
struct Kind {
  T* inout;  // (N, count*D); values are read alone
  T* raw;    // in the forward pass written, else read
  float* rstd;
  const W* weight;
  T* cache;  // (N, room, count*D)
  int64_t stride, raw_stride;
  int count, groups;
};

template <class T, class W>
struct Heads {
  Kind<T, W> kinds[3];
  const float *cosine, *sine;
  const int32_t *positions, *lengths;
  int64_t room;
  int rows, groups, half;
  float eps;
};

/// Where a lane works.
template <class T, class W, int kLanes, int kEach>
struct Place {
  const Kind<T, W>* kind;
  int64_t row;
  int number, first, lane, column;
  bool has;

  __device__ __forceinline__ explicit Place(const Heads<T, W>& h) {
    lane = static_cast<int>(threadIdx.x) % kLanes;
    column = lane * kPairs;
    const int64_t unit = (static_cast<int64_t>(blockIdx.x) * kRowThreads + threadIdx.x) / kLanes;
    row = unit / h.groups;
    int group = static_cast<int>(unit % h.groups);
    number = 0;
    while (group >= h.kinds[number].groups) group -= h.kinds[number++].groups;
    kind = &h.kinds[number];
    first = group * kEach;
    has = row < h.rows && column < h.half;
  }
  __device__ __forceinline__ bool holds(int k) const { return has && first + k < kind->count; }
  __device__ __forceinline__ int64_t at(int64_t stride, int half, int k) const {
    return row * stride + static_cast<int64_t>(first + k) * 2 * half + column;
  }
};

/// The two halves of what a lane has of a head.
template <class T>
struct Halves {
  Packed<T, kPairs> low, high;
};
template <class T>
__device__ __forceinline__ Halves<T> read_halves(const T* p, int half) {
  return {read_packed<kPairs>(p), read_packed<kPairs>(p + half)};
}
struct Pairs {
  Floats<kPairs> x, y;
};
template <class T>
__device__ __forceinline__ Pairs pairs(const Halves<T>& h) {
  return {floats(h.low), floats(h.high)};
}
template <class T>
__device__ __forceinline__ void write_pairs(T* p, int half, const Pairs& v) {
  write(p, v.x);
  write(p + half, v.y);
}

__device__ __forceinline__ float dot(const Pairs& a, const Pairs& b) {
  float sum = 0.0f;
#pragma unroll
  for (int i = 0; i < kPairs; ++i) sum += a.x.v[i] * b.x.v[i] + a.y.v[i] * b.y.v[i];
  return sum;
}

/// (x, y) by the angle whose cosine and sine are c and s.
__device__ __forceinline__ Pairs turned(const Pairs& v, const Floats<kPairs>& c,
                                        const Floats<kPairs>& s) {
  Pairs out;
#pragma unroll
  for (int i = 0; i < kPairs; ++i) {
    out.x.v[i] = v.x.v[i] * c.v[i] - v.y.v[i] * s.v[i];
    out.y.v[i] = v.y.v[i] * c.v[i] + v.x.v[i] * s.v[i];
  }
  return out;
}

template <class T, class W, int kLanes, int kEach>
__global__ void __launch_bounds__(kRowThreads) qk_forward_kernel(Heads<T, W> h) {
  const Place<T, W, kLanes, kEach> place(h);
  const Kind<T, W>& kind = *place.kind;
  Halves<T> held[kEach] = {};
#pragma unroll
  for (int k = 0; k < kEach; ++k)
    if (place.holds(k))
      held[k] = read_halves(kind.inout + place.at(kind.stride, h.half, k), h.half);
  // A row that is idle has no place in the cache.
  const int length = place.has && kind.cache ? h.lengths[place.row] : 0;
  T* const cache = length > 0
                       ? kind.cache + (place.row * h.room + length - 1) * kind.count * 2 * h.half
                       : nullptr;
  const auto cached = [&](int k) {
    return cache + static_cast<int64_t>(place.first + k) * 2 * h.half + place.column;
  };
  const bool is_value = place.number == 2;
  Floats<kPairs> c{}, s{};
  Pairs w{};
  if (place.has && !is_value) {
    const int64_t angle = static_cast<int64_t>(h.positions[place.row]) * h.half + place.column;
    c = read<kPairs>(h.cosine + angle);
    s = read<kPairs>(h.sine + angle);
    if (kind.weight) {
      w.x = read<kPairs>(kind.weight + place.column);
      w.y = read<kPairs>(kind.weight + h.half + place.column);
    }
  }
  float mine = 0.0f;  // rstd of the head that has this lane's number in the group
#pragma unroll
  for (int k = 0; k < kEach; ++k) {
    Pairs v = pairs(held[k]);
    if (h.kinds[0].weight) {  // all lanes of a warp take part, those of values too
      const float scale =
          1.0f / sqrtf(lanes_sum<kLanes>(dot(v, v)) / static_cast<float>(2 * h.half) + h.eps);
      if (place.lane == k) mine = scale;
#pragma unroll
      for (int i = 0; i < kPairs; ++i) {
        if (is_value) continue;
        v.x.v[i] *= scale * w.x.v[i];
        v.y.v[i] *= scale * w.y.v[i];
      }
    }
    if (!place.holds(k)) continue;
    if (!is_value) {
      if (kind.raw) {
        T* const raw = kind.raw + place.at(kind.raw_stride, h.half, k);
        write_packed(raw, held[k].low);
        write_packed(raw + h.half, held[k].high);
      }
      v = turned(v, c, s);
      write_pairs(kind.inout + place.at(kind.stride, h.half, k), h.half, v);
    }
    if (cache) write_pairs(cached(k), h.half, v);
  }
  if (kind.rstd && place.lane < kEach && place.row < h.rows &&
      place.first + place.lane < kind.count)
    kind.rstd[place.row * kind.count + place.first + place.lane] = mine;
}

template <class T, class W, int kLanes>
__global__ void __launch_bounds__(kRowThreads) qk_backward_kernel(Heads<T, W> h) {
  const Place<T, W, kLanes, kHeads> place(h);
  const Kind<T, W>& kind = *place.kind;
  Halves<T> held[kHeads] = {}, raw[kHeads] = {};
  Floats<kPairs> c{}, s{};
  Pairs w{};
  if (place.has) {
#pragma unroll
    for (int k = 0; k < kHeads; ++k) {
      if (!place.holds(k)) continue;
      held[k] = read_halves(kind.inout + place.at(kind.stride, h.half, k), h.half);
      raw[k] = read_halves(kind.raw + place.at(kind.raw_stride, h.half, k), h.half);
    }
    const int64_t angle = static_cast<int64_t>(h.positions[place.row]) * h.half + place.column;
    c = read<kPairs>(h.cosine + angle);
    s = read<kPairs>(h.sine + angle);
#pragma unroll
    for (int i = 0; i < kPairs; ++i) s.v[i] = -s.v[i];
    w.x = read<kPairs>(kind.weight + place.column);
    w.y = read<kPairs>(kind.weight + h.half + place.column);
  }
  const bool mine_is =
      place.row < h.rows && place.lane < kHeads && place.first + place.lane < kind.count;
  const float mine = mine_is ? kind.rstd[place.row * kind.count + place.first + place.lane] : 0.0f;
#pragma unroll
  for (int k = 0; k < kHeads; ++k) {
    Pairs g = turned(pairs(held[k]), c, s);
    const Pairs x = pairs(raw[k]);
#pragma unroll
    for (int i = 0; i < kPairs; ++i) {
      g.x.v[i] *= w.x.v[i];
      g.y.v[i] *= w.y.v[i];
    }
    const float scale = __shfl_sync(kAllLanes, mine, k, kLanes);
    const float mean =
        lanes_sum<kLanes>(dot(g, x)) / static_cast<float>(2 * h.half) * scale * scale;
#pragma unroll
    for (int i = 0; i < kPairs; ++i) {
      g.x.v[i] = scale * (g.x.v[i] - x.x.v[i] * mean);
      g.y.v[i] = scale * (g.y.v[i] - x.y.v[i] * mean);
    }
    if (place.holds(k)) write_pairs(kind.inout + place.at(kind.stride, h.half, k), h.half, g);
  }
}

template <class T, class W>
Kind<T, W> kind_of(const Tensor& inout, const Tensor& raw, const Tensor& rstd, const Tensor& weight,
                   const Tensor& cache, int64_t count, int each) {
  return {.inout = device_pointer<T>(inout),
          .raw = device_pointer<T>(raw),
          .rstd = device_pointer<float>(rstd),
          .weight = device_pointer<W>(weight),
          .cache = device_pointer<T>(cache),
          .stride = inout.row_stride,
          .raw_stride = raw ? raw.row_stride : 0,
          .count = static_cast<int>(count),
          .groups = static_cast<int>((count + each - 1) / each)};
}

Tensor columns_or_none(const Tensor& t, int64_t begin, int64_t count) {
  return t ? columns(t, begin, count) : Tensor{};
}

/// Queries and keys; there may be values.
template <class T, class W, class Op>
Heads<T, W> heads_of(const Op& op, const Tensor& inout, int each) {
  const int64_t half = op.cos.dim(1), q = op.heads * 2 * half, k = op.kv_heads * 2 * half;
  Heads<T, W> h = {.kinds = {},
                   .cosine = device_pointer<float>(op.cos),
                   .sine = device_pointer<float>(op.sin),
                   .positions = device_pointer<int32_t>(op.positions),
                   .rows = static_cast<int>(inout.dim(0)),
                   .half = static_cast<int>(half)};
  h.kinds[0] = kind_of<T, W>(columns(inout, 0, q), columns_or_none(op.raw, 0, q), op.rstd_q,
                             op.q_weight, {}, op.heads, each);
  h.kinds[1] = kind_of<T, W>(columns(inout, q, k), columns_or_none(op.raw, q, k), op.rstd_k,
                             op.k_weight, {}, op.kv_heads, each);
  return h;
}

/// Whether every half of a head is whole accesses of few enough lanes in all of these.
bool fits(int64_t n, const Tensor& cos, const Tensor& sin, std::initializer_list<Tensor> others) {
  const int64_t half = cos.dim(1);
  bool fit = half <= kWarp * kPairs && wide_rows(cos, half, kPairs) && wide_rows(sin, half, kPairs);
  for (const Tensor& t : others) fit = fit && wide_rows(t, half, kPairs);
  return fit && n <= INT32_MAX;
}

template <class T, class W, int kLanes>
Launch launch_of(Heads<T, W>& h, Stream stream, const char* name) {
  for (const Kind<T, W>& kind : h.kinds) h.groups += kind.groups;
  return {.grid = dim3(blocks_for(int64_t{h.rows} * h.groups, kRowThreads / kLanes)),
          .block = dim3(kRowThreads),
          .stream = queue(stream).stream,
          .name = name};
}

/// body(T(), W(), lanes).
template <class Body>
void with_types(const Tensor& inout, const Tensor& weight, int64_t half, const Body& body) {
  with_float_type(inout.dtype, [&](auto type) {
    with_float_type(weight ? weight.dtype : inout.dtype, [&](auto w) {
      if (half <= 16 * kPairs)
        body(type, w, std::integral_constant<int, 16>());
      else
        body(type, w, std::integral_constant<int, 32>());
    });
  });
}

}  // namespace

void qk_forward(const QkForward& op, Stream stream) {
  const bool alone = !op.q_weight && !op.keys;
  const bool fit = fits(op.inout.dim(0), op.cos, op.sin,
                        {op.inout, op.raw, op.q_weight, op.k_weight, op.v, op.keys, op.values});
  if (alone || !fit) return qk_in_turn(op, stream);
  const int64_t half = op.cos.dim(1);
  with_types(op.inout, op.q_weight, half, [&](auto type, auto weight, auto lanes) {
    using T = decltype(type);
    using W = decltype(weight);
    constexpr int kLanes = decltype(lanes)::value;
    const auto run = [&](auto each) {
      constexpr int kEach = decltype(each)::value;
      Heads<T, W> h = heads_of<T, W>(op, op.inout, kEach);
      h.eps = op.eps;
      if (op.keys) {
        h.lengths = device_pointer<int32_t>(op.lengths);
        h.room = op.keys.dim(1);
        h.kinds[1].cache = device_pointer<T>(op.keys);
        h.kinds[2] = kind_of<T, W>(op.v, {}, {}, {}, op.values, op.kv_heads, kEach);
      }
      launch(qk_forward_kernel<T, W, kLanes, kEach>,
             launch_of<T, W, kLanes>(h, stream, "qk_forward"), h);
    };
    // Few rows make few threads of a thread for several heads.
    if (op.inout.dim(0) < kManyRows)
      run(std::integral_constant<int, 1>());
    else
      run(std::integral_constant<int, kHeads>());
  });
}

void qk_backward(const QkBackward& op, Stream stream) {
  const bool fused = op.q_weight && !op.dq_weight && !op.dk_weight;
  if (!fused ||
      !fits(op.dinout.dim(0), op.cos, op.sin, {op.dinout, op.raw, op.q_weight, op.k_weight}))
    return qk_in_turn(op, stream);
  with_types(op.dinout, op.q_weight, op.cos.dim(1), [&](auto type, auto weight, auto lanes) {
    using T = decltype(type);
    using W = decltype(weight);
    constexpr int kLanes = decltype(lanes)::value;
    Heads<T, W> h = heads_of<T, W>(op, op.dinout, kHeads);
    launch(qk_backward_kernel<T, W, kLanes>, launch_of<T, W, kLanes>(h, stream, "qk_backward"), h);
  });
}

}  // namespace nibble::cuda
