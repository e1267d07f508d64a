// SPDX-License-Identifier: Apache-2.0
// A task takes a run of query tiles of one sequence and key/value head: it owns their dq, and sums
// dk and dv of all keys that they see apart from other tasks. Where a sequence has several runs,
// their sums are added at the end, first run first.
#include <array>
#include <atomic>

#include "base/threads.h"
#include "kernels/args.h"
#include "kernels/attention_backward_plan.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention_backward.cpp"
#include <hwy/foreach_target.h>

#include "kernels/attention-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nibble {
namespace HWY_NAMESPACE {
namespace {

/// c (rows, cols) += scale * aT b, a (depth, rows), depth in elements; columns in whole tiles, rows
/// exactly.
template <class Element>
void add_turned_product(int64_t rows, int64_t cols, int64_t depth, const Element* a, int64_t lda,
                        const Element* b, int64_t ldb, float* c, int64_t ldc, float scale) {
  for (int64_t j = 0; j < cols; j += kTileCols) {
    const int64_t width = std::min(kTileCols, cols - j);
    if (rows % kFewTileRows == 0) {
      tile_product<Order::kDepthMajor>(rows, width, depth, a, lda, b + j, ldb, c + j, ldc,
                                       Sum::kAdd, scale);
      continue;
    }
    HWY_ALIGN float tile[kTileRows * kTileCols];
    tile_product<Order::kDepthMajor>(rows, width, depth, a, lda, b + j, ldb, tile, kTileCols,
                                     Sum::kSet, scale);
    for (int64_t r = 0; r < rows; ++r)
      for_vectors(width, [&](int64_t i, auto part) {
        float* to = c + r * ldc + j + i;
        store(hn::Add(load(to, part), load(tile + r * kTileCols + i, part)), to, part);
      });
  }
}

template <class T, class Element>
class BackwardRun {
 public:
  BackwardRun(const AttentionBackward& op, const cpu::BackwardPlan& plan,
              const cpu::BackwardTask& task)
      : op_(op), p_(plan), t_(plan.tiles), task_(task), d_(t_.head_dim), dim_(t_.padded_dim) {
    qkv_ = op.qkv.as<T>() + task.s.first * t_.qkv_width;
    dk_ = task.sums;
    dv_ = dk_ + task.s.length * dim_;
  }

  void run() {
    const int64_t first = cpu::first_key(op_.shape, task_.q_begin);
    std::fill_n(dk_ + first * dim_, (task_.q_end - first) * dim_, 0.0f);
    std::fill_n(dv_ + first * dim_, (task_.q_end - first) * dim_, 0.0f);
    for (q0_ = task_.q_begin; q0_ < task_.q_end; q0_ += t_.queries) {
      nq_ = std::min(t_.queries, task_.q_end - q0_);
      for (int64_t h = 0; h < t_.group; ++h) load_queries(h);
      for (k0_ = cpu::first_key(op_.shape, q0_); k0_ < q0_ + nq_; k0_ += t_.keys) {
        nk_ = std::min(t_.keys, q0_ + nq_ - k0_);
        load_keys();
        for (int64_t h = 0; h < t_.group; ++h) {
          for (int64_t r0 = 0, some; r0 < nq_; r0 += some) {
            some = next_rows(nq_ - r0);
            strip(h, r0, some);
          }
          for (int64_t c0 = 0, some; c0 < nk_; c0 += some) {
            some = next_rows(nk_ - c0);
            key_strip(h, c0, some);
          }
        }
      }
      for (int64_t h = 0; h < t_.group; ++h) store_dquery(h);
    }
  }

 private:
  static constexpr int64_t kDepth = Factor<Element>::kDepth;

  float* at(int64_t offset, int64_t h, int64_t r = 0) const {
    return task_.scratch + offset + (h * t_.padded_queries + r) * dim_;
  }
  Element* operand(int64_t offset) const {
    return reinterpret_cast<Element*>(task_.scratch + offset);
  }
  /// q or dout from row r on, as a left operand: rows are dim_/kDepth apart.
  Element* left(int64_t offset, int64_t h, int64_t r) const {
    return reinterpret_cast<Element*>(at(offset, h)) + r * (dim_ / kDepth);
  }
  /// The same summed over rows. What kDepth rows make one element of lies behind the left operand.
  Element* right(int64_t offset, int64_t h, int64_t r) const {
    return reinterpret_cast<Element*>(at(offset, h)) + (kDepth - 1) * t_.padded_queries * dim_ / 2 +
           r / kDepth * dim_;
  }
  float* delta(int64_t h, int64_t r) const {
    return task_.scratch + p_.delta + h * t_.padded_queries + r;
  }
  /// p or ds of all queries of a tile from r on, depth-major.
  Element* turned(int64_t offset, int64_t r) const {
    return operand(offset) + r / kDepth * t_.keys;
  }
  int64_t head(int64_t h) const { return task_.kv_head * t_.group + h; }
  int64_t row(int64_t r) const { return task_.s.first + q0_ + r; }

  /// q, dout and delta of a head; dq starts at 0. Columns past D are 0, and so is a row that fills
  /// the last element up.
  void load_queries(int64_t h) {
    const int64_t width = op_.shape.heads * d_;
    const T* q = qkv_ + q0_ * t_.qkv_width + head(h) * d_;
    const T* dout = op_.dout.as<T>() + row(0) * width + head(h) * d_;
    const T* out = op_.out.as<T>() + row(0) * op_.out.row_stride + head(h) * d_;
    load_rows(q, t_.qkv_width, p_.query, h);
    load_rows(dout, width, p_.dout, h);
    std::fill_n(at(p_.dquery, h), nq_ * dim_, 0.0f);
    for (int64_t r = 0; r < nq_; ++r)
      *delta(h, r) = sum_vectors(d_, [&](int64_t i, auto part) {
        return hn::Mul(load(dout + r * width + i, part),
                       load(out + r * op_.out.row_stride + i, part));
      });
    for (int64_t r = nq_; r % kDepth != 0; ++r) *delta(h, r) = 0.0f;
  }
  void load_rows(const T* from, int64_t stride, int64_t offset, int64_t h) {
    take_rows(from, stride, nq_, d_, left(offset, h, 0), dim_ / kDepth);
    for (int64_t r = nq_; r % kDepth != 0; ++r)
      std::fill_n(left(offset, h, r), dim_ / kDepth, Element{});
    if (kDepth > 1) pack_rows(from, stride, nq_, d_, right(offset, h, 0), dim_);
  }

  void load_keys() {
    const int64_t width = t_.qkv_width;
    const T* key = qkv_ + k0_ * width + t_.key_column + task_.kv_head * d_;
    const T* value = qkv_ + k0_ * width + t_.value_column + task_.kv_head * d_;
    pack_transposed(key, width, nk_, d_, operand(0));
    pack_transposed(value, width, nk_, d_, operand(p_.values));
    pack_rows(key, width, nk_, d_, operand(p_.key_rows), dim_);
  }

  Visible visible(int64_t r) const {
    return r < nq_ ? visible_keys(op_.shape, q0_ + r, k0_, nk_) : Visible{};
  }

  /// p and ds of a strip of queries, and its dq.
  void strip(int64_t h, int64_t r0, int64_t some) {
    const int64_t begin = visible(r0).begin / kTileCols * kTileCols;
    const int64_t end = std::max(begin, visible(r0 + some - 1).end);
    const int64_t depth = elements<Element>(d_), stride = dim_ / kDepth;
    float* const p = task_.scratch + p_.strip_p;
    float* const ds = task_.scratch + p_.strip_ds;
    multiply_panels(some, begin, end, depth, left(p_.query, h, r0), stride, operand(0), p, t_.keys,
                    op_.shape.scale);
    multiply_panels(some, begin, end, depth, left(p_.dout, h, r0), stride, operand(p_.values), ds,
                    t_.keys, 1.0f);
    for (int64_t r = 0; r < some; r += kDepth)
      slopes(h, r0 + r, begin, end, p + r * t_.keys, ds + r * t_.keys);
    add_product(some, d_, elements<Element>(end - begin),
                reinterpret_cast<const Element*>(ds + begin), t_.keys,
                operand(p_.key_rows) + begin / kDepth * dim_, dim_, at(p_.dquery, h, r0), dim_,
                op_.shape.scale);
  }

  /// p and ds of the rows of an element, from their scores and dp in [begin, end); ds also as a
  /// left operand in its place.
  void slopes(int64_t h, int64_t r0, int64_t begin, int64_t end, float* scores, float* dp) {
    Vec lse[kDepth], shift[kDepth];
    for (int64_t r = 0; r < kDepth; ++r) {
      mask_row(scores + r * t_.keys, begin, end, visible(r0 + r));
      lse[r] =
          set(r0 + r < nq_ ? op_.lse.as<float>()[row(r0 + r) * op_.shape.heads + head(h)] : 0.0f);
      shift[r] = set(*delta(h, r0 + r));
    }
    Element* const p_row = turned(p_.p, r0);
    Element* const ds_row = turned(p_.ds, r0);
    for (int64_t i = begin; i < end; i += kLanes) {
      Vec prob[kDepth], slope[kDepth];
      for (int64_t r = 0; r < kDepth; ++r) {
        prob[r] = exp(hn::Sub(load(scores + r * t_.keys + i, Whole{}), lse[r]));
        slope[r] = hn::Mul(prob[r], hn::Sub(load(dp + r * t_.keys + i, Whole{}), shift[r]));
        store_left<Element>(slope[r], dp + r * t_.keys + begin, i - begin);
      }
      store_turned<Element>(prob, p_row + i);
      store_turned<Element>(slope, ds_row + i);
    }
    for (Element* const to : {p_row, ds_row}) {
      std::fill(to, to + begin, Element{});
      std::fill(to + end, to + nk_, Element{});
    }
  }

  /// dk and dv of a strip of keys, from the queries that see any of them.
  void key_strip(int64_t h, int64_t c0, int64_t some) {
    const int64_t k = k0_ + c0;
    const int64_t begin = std::max<int64_t>(0, k - q0_) / kDepth * kDepth;
    const int64_t last = op_.shape.window > 0 ? k + some - 1 + op_.shape.window : q0_ + nq_;
    const int64_t depth = elements<Element>(std::min(nq_, last - q0_) - begin);
    if (depth <= 0) return;
    add_turned_product(some, d_, depth, turned(p_.p, begin) + c0, t_.keys, right(p_.dout, h, begin),
                       dim_, dv_ + k * dim_, dim_, 1.0f);
    add_turned_product(some, d_, depth, turned(p_.ds, begin) + c0, t_.keys,
                       right(p_.query, h, begin), dim_, dk_ + k * dim_, dim_, op_.shape.scale);
  }

  void store_dquery(int64_t h) {
    for (int64_t r = 0; r < nq_; ++r) {
      T* to = op_.dqkv.as<T>() + row(r) * op_.dqkv.row_stride + head(h) * d_;
      for_vectors(d_, [&](int64_t i, auto part) {
        store(load(at(p_.dquery, h, r) + i, part), to + i, part);
      });
    }
  }

  const AttentionBackward& op_;
  const cpu::BackwardPlan& p_;
  const cpu::AttentionTiles& t_;
  const cpu::BackwardTask& task_;
  const int64_t d_, dim_;
  const T* qkv_;
  float *dk_, *dv_;
  int64_t q0_ = 0, nq_ = 0, k0_ = 0, nk_ = 0;
};

void backward_run(const AttentionBackward& op, const cpu::BackwardPlan& plan,
                  const cpu::BackwardTask& task) {
  with_operands(op.dqkv.dtype, [&](auto t, auto element) {
    BackwardRun<decltype(t), decltype(element)>(op, plan, task).run();
  });
}

/// dk and dv of rows [begin, end), from the sums of the runs whose queries see them.
template <class T>
void join_rows(const AttentionBackward& op, const cpu::BackwardPlan& plan, int64_t begin,
               int64_t end) {
  const cpu::AttentionTiles& t = plan.tiles;
  cpu::BackwardTasks tasks(op, plan);
  for (int64_t s = 0, first_task = 0; s < cpu::sequences(op.starts); ++s) {
    const auto [first, length] = cpu::sequence(op.starts, s);
    const int64_t runs = tasks.runs(length), heads = op.shape.kv_heads;
    if (runs == 0 || !tasks.seek(first_task)) continue;
    first_task += runs * heads;
    std::array<int64_t, cpu::kMaxRuns + 1> query;
    for (int64_t run = 0; run <= runs; ++run)
      query[static_cast<size_t>(run)] = tasks.first_query(length, run);
    for (int64_t k = std::max<int64_t>(0, begin - first); k < std::min(length, end - first); ++k)
      for (int64_t head = 0; head < heads; ++head)
        for (const bool is_value : {false, true}) {
          const float* sums =
              tasks.sums_of(length, head, 0) + ((is_value ? length : 0) + k) * t.padded_dim;
          T* to = op.dqkv.as<T>() + (first + k) * op.dqkv.row_stride +
                  (is_value ? t.value_column : t.key_column) + head * t.head_dim;
          for_vectors(t.head_dim, [&](int64_t i, auto part) {
            Vec x = zero();
            for (int64_t run = 0; run < runs; ++run) {
              const auto at = static_cast<size_t>(run);
              if (query[at + 1] > k && cpu::first_key(op.shape, query[at]) <= k)
                x = hn::Add(x, load(sums + run * tasks.sums_elements(length) + i, part));
            }
            store(x, to + i, part);
          });
        }
  }
}

void backward_join(const AttentionBackward& op, const cpu::BackwardPlan& plan, int64_t begin,
                   int64_t end) {
  with_float(op.dqkv.dtype, [&](auto t) { join_rows<decltype(t)>(op, plan, begin, end); });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace nibble
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nibble {
namespace {
HWY_EXPORT(backward_run);
HWY_EXPORT(backward_join);
}  // namespace

int64_t cpu::attention_backward_scratch(const AttentionShape& shape, int64_t n, int64_t longest) {
  const cpu::BackwardPlan plan(shape, longest);
  // A sequence has at most as many runs as tiles, and at most one more than its share of those
  // wanted.
  const int64_t rows = std::min(n * ceil_div(std::max<int64_t>(1, longest), plan.tiles.queries),
                                n + cpu::wanted_runs(shape) * longest);
  return threads() * plan.elements + 2 * rows * shape.kv_heads * plan.tiles.padded_dim;
}

void cpu::attention_backward(const AttentionBackward& op, Stream) {
  const BackwardPlan plan(op.shape, longest_sequence(op.starts));
  struct {
    const AttentionBackward& op;
    const BackwardPlan& plan;
    std::atomic<int64_t> next;
  } work{op, plan, 0};
  const auto run = NIBBLE_SIMD(backward_run);
  parallel_for(threads(), 1, [&work, run](int64_t thread, int64_t) {
    BackwardTasks tasks(work.op, work.plan);
    for (int64_t i; tasks.seek(i = work.next++);)
      run(work.op, work.plan,
          tasks.task(i, work.op.scratch.as<float>() + thread * work.plan.elements));
  });
  const auto join = NIBBLE_SIMD(backward_join);
  parallel_for(op.dqkv.dim(0), 16,
               [&work, join](int64_t begin, int64_t end) { join(work.op, work.plan, begin, end); });
}

}  // namespace nibble
#endif  // HWY_ONCE
