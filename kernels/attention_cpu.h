// SPDX-License-Identifier: Apache-2.0
// The CPU halves of attention.h: tiles, tasks and scratch. A task is a tile of queries (or a run of
// them) of one sequence and one key/value head, all query heads of the group together; threads take
// the next task in turn, and as every result belongs to one task, the order changes no bits.
#pragma once

#include <algorithm>

#include "base/checked.h"
#include "kernels/attention.h"

namespace nibble::cpu {

constexpr int64_t kMaxStripRows = 12;  // that one tile of a product takes, on any instruction set

/// Sizes of tiles, and where the parts of a fused q/k/v row are.
struct AttentionTiles {
  AttentionTiles(const AttentionShape& shape, int64_t longest, int64_t max_keys);

  int64_t head_dim, padded_dim;  // D, and D in whole column tiles of any instruction set
  int64_t group;                 // query heads of a key/value head
  int64_t queries, keys;         // of a tile
  int64_t padded_queries;        // in whole row tiles
  int64_t qkv_width, key_column, value_column;
};

/// One sequence of a pack.
struct Sequence {
  int64_t first = 0, length = 0;
};
inline Sequence sequence(const Tensor& starts, int64_t s) {
  const int32_t* p = starts.as<int32_t>();
  return {p[s], p[s + 1] - p[s]};
}
inline int64_t sequences(const Tensor& starts) {
  return starts.dim(0) - 1;
}
/// The sequence that s goes on from, or -1.
inline int64_t parent(const AttentionForward& op, int64_t s) {
  return op.parents ? op.parents.as<int32_t>()[s] : -1;
}
/// Rows before those of sequence s that it sees: its parents'.
inline int64_t prefix_length(const AttentionForward& op, int64_t s) {
  int64_t rows = 0;
  while ((s = parent(op, s)) >= 0) rows += sequence(op.starts, s).length;
  return rows;
}

/// The first key that the query at `position` sees.
inline int64_t first_key(const AttentionShape& shape, int64_t position) {
  return shape.window > 0 ? std::max<int64_t>(0, position - shape.window + 1) : 0;
}
/// Pairs of a query and a key that the first `queries` queries of a sequence see.
inline int64_t visible_pairs(const AttentionShape& shape, int64_t queries) {
  const int64_t w = shape.window > 0 ? std::min(shape.window, queries) : queries;
  return w * (w + 1) / 2 + (queries - w) * w;
}

int64_t longest_sequence(const Tensor& starts);

int64_t attention_forward_scratch(const AttentionShape& shape, int64_t longest);
int64_t attention_backward_scratch(const AttentionShape& shape, int64_t n, int64_t longest);
int64_t attention_decode_scratch(const AttentionShape& shape, int64_t batch, int64_t longest);

void attention_forward(const AttentionForward& op, Stream stream);
void attention_backward(const AttentionBackward& op, Stream stream);
void attention_decode(const AttentionDecode& op, Stream stream);

}  // namespace nibble::cpu
