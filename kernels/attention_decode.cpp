// SPDX-License-Identifier: Apache-2.0
// The query heads of a group are the rows of one strip. Where there are fewer (sequence, key/value
// head) pairs than keep the threads busy, positions are split too and the splits joined in order.
#include <atomic>

#include "base/threads.h"
#include "kernels/args.h"
#include "kernels/attention_cpu.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention_decode.cpp"
#include <hwy/foreach_target.h>

#include <hwy/cache_control.h>

#include "kernels/attention-inl.h"

#ifndef NIBBLE_ATTENTION_DECODE_PLAN
#define NIBBLE_ATTENTION_DECODE_PLAN
namespace nibble::cpu {
namespace {

struct DecodePlan {
  DecodePlan(const AttentionShape& shape, int64_t batch, int64_t room) : tiles(shape, room, 128) {
    const int64_t pairs = std::max<int64_t>(1, batch * shape.kv_heads);
    constexpr int64_t kMinPositions = 128;
    splits = pairs >= 2 * threads() ? 1 : ceil_div<int64_t>(2 * threads(), pairs);
    splits = std::min(splits, std::max<int64_t>(1, room / kMinPositions));

    rows = round_up<int64_t>(tiles.group, 12);
    values = tiles.keys * tiles.head_dim;
    query = values + tiles.keys * tiles.padded_dim;
    scores = query + rows * tiles.head_dim;
    elements = round_up<int64_t>(scores + rows * tiles.keys, 16);
    max = rows * tiles.padded_dim;
    sum = max + rows;
    gathered = sum + rows;
    tasks = batch * shape.kv_heads * splits;
    // Fewer pairs are split more: pairs * ceil(wanted / pairs) < pairs + wanted, pairs < wanted.
    const int64_t wanted = 2 * threads();
    most_tasks = std::max(pairs, std::min(wanted + std::min(pairs, wanted),
                                          pairs * std::max<int64_t>(1, room / kMinPositions)));
    CHECK(tasks <= most_tasks);
  }
  AttentionTiles tiles;
  int64_t splits, rows, tasks;
  int64_t most_tasks;                       // of this batch or a smaller one
  int64_t values, query, scores, elements;  // offsets in a thread's scratch; packed keys come first
  int64_t max, sum, gathered;               // and in what a task gathers; its out comes first
};

}  // namespace
}  // namespace nibble::cpu
#endif  // NIBBLE_ATTENTION_DECODE_PLAN

HWY_BEFORE_NAMESPACE();
namespace nibble {
namespace HWY_NAMESPACE {
namespace {

/// Asks for a row of a head.
template <class T>
HWY_INLINE void fetch(const T* row, int64_t d) {
  constexpr int64_t kLine = 64 / sizeof(T);
  for (int64_t i = 0; i < d; i += kLine) hwy::Prefetch(row + i);
}

/// The keys and values of a tile, in rows `width` apart.
template <class T>
struct Cached {
  const T *keys, *values;
  int64_t width, count;
};

/// scores (kRows, count), `ld` apart, = query (kRows, d) times the transpose of the keys, read as
/// they lie. Written in whole fours of keys. Rows are too far apart for processors to fetch ahead
/// by themselves: keys are asked for some rows before, values meanwhile.
template <int kRows, class T>
void dot_keys(const float* query, const Cached<T>& tile, int64_t d, float* scores, int64_t ld) {
  constexpr int64_t kAhead = 16;
  for (int64_t j = 0; j < tile.count; j += 4) {
    const T* key[4];
    for (int64_t c = 0; c < 4; ++c) {
      const int64_t row = std::min(j + c, tile.count - 1) * tile.width;
      key[c] = tile.keys + row;
      fetch(key[c] + kAhead * tile.width, d);
      fetch(tile.values + row, d);
    }
    Vec sums[kRows][4];
    for (auto& row : sums)
      for (Vec& sum : row) sum = zero();
    for_vectors(d, [&](int64_t i, auto part) {
      Vec k[4];
      for (int c = 0; c < 4; ++c) k[c] = load(key[c] + i, part);
      for (int r = 0; r < kRows; ++r) {
        const Vec q = load(query + r * d + i, part);
        for (int c = 0; c < 4; ++c) sums[r][c] = hn::MulAdd(q, k[c], sums[r][c]);
      }
    });
    for (int r = 0; r < kRows; ++r) sum_four(sums[r], scores + r * ld + j);
  }
}

/// Rows that are multiplied so: more pay for turning the keys.
constexpr int64_t kDotRows = 4;

template <class T>
void dot_keys(int64_t rows, const float* query, const Cached<T>& tile, int64_t d, float* scores,
              int64_t ld) {
  switch (rows) {
    case 1:
      return dot_keys<1>(query, tile, d, scores, ld);
    case 2:
      return dot_keys<2>(query, tile, d, scores, ld);
    case 3:
      return dot_keys<3>(query, tile, d, scores, ld);
    default:
      return dot_keys<kDotRows>(query, tile, d, scores, ld);
  }
}

/// Keys [begin, end) of row b, for the heads of one group.
template <class Q, class T>
void decode_split(const AttentionDecode& op, const cpu::DecodePlan& p, float* scratch,
                  float* gathered, int64_t b, int64_t kv_head, int64_t begin, int64_t end) {
  const cpu::AttentionTiles& t = p.tiles;
  const int64_t d = t.head_dim, width = op.keys.dim(2), offset = b * op.keys.dim(1) * width;
  const T* keys = op.keys.as<T>() + offset + kv_head * d;
  const T* values = op.values.as<T>() + offset + kv_head * d;
  float* const query = scratch + p.query;
  float* const scores = scratch + p.scores;
  const Q* from = op.q.as<Q>() + b * op.q.row_stride + kv_head * t.group * d;
  const Vec scale = set(op.shape.scale);
  for_vectors(t.group * d, [&](int64_t i, auto part) {
    store(hn::Mul(load(from + i, part), scale), query + i, part);
  });
  std::fill_n(gathered, p.max, 0.0f);
  std::fill_n(gathered + p.max, p.rows, kMasked);
  std::fill_n(gathered + p.sum, p.rows, 0.0f);

  for (int64_t k0 = begin; k0 < end; k0 += t.keys) {
    const int64_t nk = std::min(t.keys, end - k0);
    const bool turned = t.group > kDotRows;
    if (turned) pack_transposed(keys + k0 * width, width, nk, d, scratch);
    const bool in_place = d % kLanes == 0;  // no column tile reaches past the head
    if (!in_place)
      widen_rows(values + k0 * width, width, nk, d, scratch + p.values, t.padded_dim, t.padded_dim);
    for (int64_t r0 = 0, some; r0 < t.group; r0 += some) {
      some = turned ? next_rows(t.group - r0) : t.group;
      if (turned)
        multiply_panels(some, 0, nk, d, query + r0 * d, d, scratch, scores, t.keys, 1.0f);
      else
        dot_keys<T>(some, query, {keys + k0 * width, values + k0 * width, width, nk}, d, scores,
                    t.keys);
      const SoftmaxRows rows{.max = gathered + p.max + r0,
                             .sum = gathered + p.sum + r0,
                             .out = gathered + r0 * t.padded_dim,
                             .ldo = t.padded_dim,
                             .dim = d};
      softmax_rows<float>(rows, some, scores, t.keys, 0, nk, [&](int64_t) {
        return Visible{0, nk};
      });
      if (in_place)
        add_product(some, d, nk, scores, t.keys, values + k0 * width, width, rows.out, t.padded_dim,
                    1.0f);
      else
        add_product(some, d, nk, scores, t.keys, scratch + p.values, t.padded_dim, rows.out,
                    t.padded_dim, 1.0f);
    }
  }
}

void decode_task(const AttentionDecode& op, const cpu::DecodePlan& p, float* scratch,
                 float* gathered, int64_t task) {
  const int64_t split = task % p.splits, pair = task / p.splits;
  const int64_t b = pair / op.shape.kv_heads, length = op.lengths.as<int32_t>()[b];
  const int64_t first = cpu::first_key(op.shape, length - 1);
  const int64_t step = round_up<int64_t>(ceil_div(length - first, p.splits), 32);
  const int64_t begin = std::min(length, first + split * step);
  const int64_t end = std::min(length, begin + step);
  with_float(op.out.dtype, [&](auto q) {
    with_float(op.keys.dtype, [&](auto k) {
      decode_split<decltype(q), decltype(k)>(op, p, scratch, gathered, b, pair % op.shape.kv_heads,
                                             begin, end);
    });
  });
}

/// out of one (b, head) from its splits, in order.
template <class T>
void join_head(const cpu::DecodePlan& p, const float* gathered, int64_t r, T* out) {
  const int64_t d = p.tiles.head_dim;
  float max = kMasked, sum = 0.0f;
  for (int64_t c = 0; c < p.splits; ++c) max = std::max(max, gathered[c * p.gathered + p.max + r]);
  const auto weight = [&](int64_t c) {
    return hn::GetLane(exp(set(gathered[c * p.gathered + p.max + r] - max)));
  };
  if (max == kMasked) {
    std::fill_n(out, d, T{});
    return;
  }
  for (int64_t c = 0; c < p.splits; ++c) sum += weight(c) * gathered[c * p.gathered + p.sum + r];
  for_vectors(d, [&](int64_t i, auto part) {
    Vec x = zero();
    for (int64_t c = 0; c < p.splits; ++c)
      x = hn::MulAdd(set(weight(c)),
                     load(gathered + c * p.gathered + r * p.tiles.padded_dim + i, part), x);
    store(hn::Mul(x, set(1.0f / sum)), out + i, part);
  });
}

void join_pair(const AttentionDecode& op, const cpu::DecodePlan& p, const float* gathered,
               int64_t pair) {
  const int64_t d = p.tiles.head_dim, group = p.tiles.group;
  for (int64_t r = 0; r < group; ++r)
    with_float(op.out.dtype, [&](auto t) {
      join_head(p, gathered + pair * p.splits * p.gathered, r,
                op.out.as<decltype(t)>() + (pair * group + r) * d);
    });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace nibble
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nibble {
namespace {
HWY_EXPORT(decode_task);
HWY_EXPORT(join_pair);
}  // namespace

int64_t cpu::attention_decode_scratch(const AttentionShape& shape, int64_t batch, int64_t longest) {
  const cpu::DecodePlan plan(shape, batch, longest);
  return threads() * plan.elements + plan.most_tasks * plan.gathered;
}

void cpu::attention_decode(const AttentionDecode& op, Stream) {
  const DecodePlan plan(op.shape, op.out.dim(0), op.keys.dim(1));
  float* const scratch = op.scratch.as<float>();
  struct {
    const AttentionDecode& op;
    const DecodePlan& plan;
    float* scratch;
    float* gathered;
    std::atomic<int64_t> next;
  } work{op, plan, scratch, scratch + threads() * plan.elements, 0};
  const auto run = NIBBLE_SIMD(decode_task);
  parallel_for(std::min<int64_t>(threads(), plan.tasks), 1, [&work, run](int64_t thread, int64_t) {
    const DecodePlan& p = work.plan;
    for (int64_t i; (i = work.next++) < p.tasks;)
      run(work.op, p, work.scratch + thread * p.elements, work.gathered + i * p.gathered, i);
  });
  const auto join = NIBBLE_SIMD(join_pair);
  for (int64_t pair = 0; pair < plan.tasks / plan.splits; ++pair)
    join(op, plan, work.gathered, pair);
}

}  // namespace nibble
#endif  // HWY_ONCE
