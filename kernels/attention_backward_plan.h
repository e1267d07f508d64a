// SPDX-License-Identifier: Apache-2.0
// How the CPU half of attention's backward is divided into tasks, and where their parts lie in
// scratch.
#pragma once

#include <algorithm>

#include "base/threads.h"
#include "kernels/attention_cpu.h"

namespace nibble::cpu {

inline constexpr int64_t kMaxRuns = 64;  // of a sequence

/// How many runs the pack should have a key/value head, so that threads finish together.
inline int64_t wanted_runs(const AttentionShape& shape) {
  return threads() == 1 ? 1 : ceil_div<int64_t>(4 * threads(), shape.kv_heads);
}

struct BackwardPlan {
  BackwardPlan(const AttentionShape& shape, int64_t longest) : tiles(shape, longest, 128) {
    const int64_t rows = tiles.group * tiles.padded_queries, dim = tiles.padded_dim;
    values = tiles.keys * tiles.head_dim;
    key_rows = 2 * values;
    query = key_rows + tiles.keys * dim;
    dout = query + rows * dim;
    dquery = dout + rows * dim;
    delta = dquery + rows * dim;
    p = delta + rows;
    ds = p + tiles.padded_queries * tiles.keys;
    strip_p = ds + tiles.padded_queries * tiles.keys;
    strip_ds = strip_p + kMaxStripRows * tiles.keys;
    elements = round_up<int64_t>(strip_ds + kMaxStripRows * tiles.keys, 16);
  }
  AttentionTiles tiles;
  // Offsets in a thread's scratch; packed keys come first, then packed values.
  int64_t values, key_rows, query, dout, dquery, delta, p, ds, strip_p, strip_ds;
  int64_t elements;
};

struct BackwardTask {
  Sequence s;
  int64_t kv_head = 0;
  int64_t q_begin = 0, q_end = 0;
  float* scratch = nullptr;
  float* sums = nullptr;  // (length, padded_dim) of dk, then of dv
};

/// The runs of query tiles of a pack. Sequences are in order; in each, runs of about the same
/// number of visible pairs.
class BackwardTasks {
 public:
  BackwardTasks(const AttentionBackward& op, const BackwardPlan& plan) : op_(op), plan_(plan) {
    for (int64_t i = 0; i < sequences(op.starts); ++i)
      pairs_ += visible_pairs(op.shape, sequence(op.starts, i).length);
  }

  int64_t runs(int64_t length) const {
    if (length == 0) return 0;
    const double share = pairs(length) / static_cast<double>(pairs_);
    const auto wanted = static_cast<int64_t>(share * static_cast<double>(wanted_runs(op_.shape)));
    return std::clamp<int64_t>(wanted, 1,
                               std::min(kMaxRuns, ceil_div(length, plan_.tiles.queries)));
  }
  /// The first query of a run, in whole tiles.
  int64_t first_query(int64_t length, int64_t run) const {
    const double before =
        pairs(length) * static_cast<double>(run) / static_cast<double>(runs(length));
    if (run == runs(length)) return length;
    const int64_t step = plan_.tiles.queries;
    int64_t q = 0;
    while (q < length && pairs(q + step / 2) < before) q += step;
    return std::min(q, length);
  }
  int64_t sums_elements(int64_t length) const { return 2 * length * plan_.tiles.padded_dim; }

  /// Whether there is a task i; what follows is about its sequence. i never goes back.
  bool seek(int64_t i) {
    for (; s_ < sequences(op_.starts); ++s_) {
      const int64_t length = sequence(op_.starts, s_).length;
      const int64_t tasks = runs(length) * op_.shape.kv_heads;
      if (i < first_ + tasks) return true;
      first_ += tasks;
      sums_ += tasks * sums_elements(length);
    }
    return false;
  }
  float* sums_of(int64_t length, int64_t kv_head, int64_t run) const {
    return op_.scratch.as<float>() + threads() * plan_.elements + sums_ +
           (kv_head * runs(length) + run) * sums_elements(length);
  }
  BackwardTask task(int64_t i, float* scratch) const {
    const Sequence s = sequence(op_.starts, s_);
    const int64_t kv_head = (i - first_) % op_.shape.kv_heads;
    const int64_t run = (i - first_) / op_.shape.kv_heads;
    return {.s = s,
            .kv_head = kv_head,
            .q_begin = first_query(s.length, run),
            .q_end = first_query(s.length, run + 1),
            .scratch = scratch,
            .sums = sums_of(s.length, kv_head, run)};
  }

 private:
  double pairs(int64_t length) const {
    return static_cast<double>(visible_pairs(op_.shape, length));
  }

  const AttentionBackward& op_;
  const BackwardPlan& plan_;
  int64_t pairs_ = 0;
  int64_t s_ = 0, first_ = 0;  // the sequence that the last task was of, and its first task
  int64_t sums_ = 0;           // where its sums begin
};

}  // namespace nibble::cpu
