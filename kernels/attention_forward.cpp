// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <cmath>

#include "base/threads.h"
#include "kernels/args.h"
#include "kernels/attention_cpu.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention_forward.cpp"
#include <hwy/foreach_target.h>

#include "kernels/attention-inl.h"

#ifndef NIBBLE_ATTENTION_FORWARD_PLAN
#define NIBBLE_ATTENTION_FORWARD_PLAN
namespace nibble::cpu {
namespace {

/// A thread's scratch. Keys and values of a tile take 256 KiB together.
struct ForwardPlan {
  ForwardPlan(const AttentionShape& shape, int64_t longest)
      : tiles(shape, longest, std::max<int64_t>(32, 32768 / shape.head_dim / 32 * 32)) {
    const int64_t rows = tiles.group * tiles.padded_queries;
    values = tiles.keys * tiles.head_dim;
    query = values + tiles.keys * tiles.padded_dim;
    out = query + rows * tiles.head_dim;
    max = out + rows * tiles.padded_dim;
    sum = max + rows;
    scores = sum + rows;
    elements = round_up<int64_t>(scores + kMaxStripRows * tiles.keys, 16);
  }
  AttentionTiles tiles;
  int64_t values, query, out, max, sum, scores;  // offsets; packed keys come first
  int64_t elements;
};

/// Task i of a pack: sequences in order, in each the last tile of queries (the dearest) first.
struct ForwardTasks {
  const AttentionForward& op;
  const ForwardPlan& plan;
  int64_t s = 0, first = 0;  // the sequence that the last task was of, and its first task

  int64_t of_sequence() const {
    return ceil_div(sequence(op.starts, s).length, plan.tiles.queries) * op.shape.kv_heads;
  }
  /// Whether there is a task i; s is its sequence then. i never goes back.
  bool seek(int64_t i) {
    for (; s < sequences(op.starts); ++s) {
      if (i < first + of_sequence()) return true;
      first += of_sequence();
    }
    return false;
  }
};

}  // namespace
}  // namespace nibble::cpu
#endif  // NIBBLE_ATTENTION_FORWARD_PLAN

HWY_BEFORE_NAMESPACE();
namespace nibble {
namespace HWY_NAMESPACE {
namespace {

/// A tile of queries, all heads of a group, against the keys that it sees.
template <class T, class Element>
void forward_tile(const AttentionForward& op, const cpu::ForwardPlan& p, float* scratch,
                  int64_t index, int64_t kv_head, int64_t q0) {
  const cpu::AttentionTiles& t = p.tiles;
  const cpu::Sequence s = cpu::sequence(op.starts, index);
  const int64_t d = t.head_dim, width = t.qkv_width, nq = std::min(t.queries, s.length - q0);
  const int64_t prefix = cpu::prefix_length(op, index), position = prefix + q0;
  const T* qkv = op.qkv.as<T>() + s.first * width;
  const int64_t depth = elements<Element>(d);
  const auto panels = reinterpret_cast<Element*>(scratch);
  const auto values = reinterpret_cast<Element*>(scratch + p.values);
  float* const scores = scratch + p.scores;

  const auto rows_of = [&](int64_t h, int64_t r) {
    const int64_t row = h * t.padded_queries + r;
    return SoftmaxRows{.max = scratch + p.max + row,
                       .sum = scratch + p.sum + row,
                       .out = scratch + p.out + row * t.padded_dim,
                       .ldo = t.padded_dim,
                       .dim = d};
  };
  const auto query_of = [&](int64_t h, int64_t r) {
    return reinterpret_cast<Element*>(scratch + p.query) + (h * t.padded_queries + r) * depth;
  };
  for (int64_t h = 0; h < t.group; ++h) {
    const T* from = qkv + q0 * width + (kv_head * t.group + h) * d;
    take_rows(from, width, nq, d, query_of(h, 0), depth);
    const SoftmaxRows rows = rows_of(h, 0);
    std::fill_n(rows.max, nq, kMasked);
    std::fill_n(rows.sum, nq, 0.0f);
    std::fill_n(rows.out, nq * t.padded_dim, 0.0f);
  }

  // Keys at positions [k0, k0 + nk), whose first row is `row`.
  const auto attend = [&](int64_t k0, int64_t nk, int64_t row) {
    const T* keys = op.qkv.as<T>() + row * width + kv_head * d;
    pack_transposed(keys + t.key_column, width, nk, d, panels);
    pack_rows(keys + t.value_column, width, nk, d, values, t.padded_dim);
    const auto visible = [&](int64_t r) { return visible_keys(op.shape, position + r, k0, nk); };
    for (int64_t h = 0; h < t.group; ++h)
      for (int64_t r0 = 0, some; r0 < nq; r0 += some) {
        some = next_rows(nq - r0);
        const int64_t begin = visible(r0).begin / kTileCols * kTileCols;
        const int64_t end = visible(r0 + some - 1).end;
        if (begin >= end) continue;
        multiply_panels(some, begin, end, depth, query_of(h, r0), depth, panels, scores, t.keys,
                        op.shape.scale);
        const SoftmaxRows rows = rows_of(h, r0);
        softmax_rows<Element>(rows, some, scores, t.keys, begin, end,
                              [&](int64_t r) { return visible(r0 + r); });
        add_product(some, d, elements<Element>(end - begin),
                    reinterpret_cast<const Element*>(scores + begin), t.keys,
                    values + elements<Element>(begin) * t.padded_dim, t.padded_dim, rows.out,
                    t.padded_dim, 1.0f);
      }
  };
  const int64_t first = cpu::first_key(op.shape, position);
  int64_t begin = prefix, end = position + nq;  // positions of a sequence's rows that are seen
  for (int64_t of = index;;) {
    const int64_t row = cpu::sequence(op.starts, of).first;
    for (int64_t k0 = std::max(begin, first); k0 < end; k0 += t.keys)
      attend(k0, std::min(t.keys, end - k0), row + k0 - begin);
    of = cpu::parent(op, of);
    if (of < 0) break;
    end = begin;
    begin -= cpu::sequence(op.starts, of).length;
  }

  for (int64_t h = 0; h < t.group; ++h)
    for (int64_t r = 0; r < nq; ++r) {
      const SoftmaxRows rows = rows_of(h, r);
      const int64_t row = s.first + q0 + r, head = kv_head * t.group + h;
      T* out = op.out.as<T>() + row * op.out.row_stride + head * d;
      const Vec inverse = set(1.0f / *rows.sum);
      for_vectors(d, [&](int64_t i, auto part) {
        store(hn::Mul(load(rows.out + i, part), inverse), out + i, part);
      });
      if (op.lse) op.lse.as<float>()[row * op.shape.heads + head] = *rows.max + std::log(*rows.sum);
    }
}

void forward_task(const AttentionForward& op, const cpu::ForwardPlan& p, float* scratch,
                  int64_t index, int64_t kv_head, int64_t q0) {
  with_operands(op.out.dtype, [&](auto t, auto element) {
    forward_tile<decltype(t), decltype(element)>(op, p, scratch, index, kv_head, q0);
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace nibble
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nibble {
namespace {
HWY_EXPORT(forward_task);
}

int64_t cpu::attention_forward_scratch(const AttentionShape& shape, int64_t longest) {
  return cpu::ForwardPlan(shape, longest).elements * threads();
}

void cpu::attention_forward(const AttentionForward& op, Stream) {
  const ForwardPlan plan(op.shape, longest_sequence(op.starts));
  struct {
    const AttentionForward& op;
    const ForwardPlan& plan;
    std::atomic<int64_t> next;
  } work{op, plan, 0};
  const auto run = NIBBLE_SIMD(forward_task);
  parallel_for(threads(), 1, [&work, run](int64_t thread, int64_t) {
    ForwardTasks tasks{work.op, work.plan};
    float* scratch = work.op.scratch.as<float>() + thread * work.plan.elements;
    for (int64_t i; tasks.seek(i = work.next++);) {
      const Sequence s = sequence(work.op.starts, tasks.s);
      const int64_t task = i - tasks.first, kv = work.op.shape.kv_heads;
      const int64_t tile = ceil_div(s.length, work.plan.tiles.queries) - 1 - task / kv;
      run(work.op, work.plan, scratch, tasks.s, task % kv, tile * work.plan.tiles.queries);
    }
  });
}

}  // namespace nibble
#endif  // HWY_ONCE
