// SPDX-License-Identifier: Apache-2.0
// Batch: token sequences one after another without padding. Sequence s is tokens
// [starts[s], starts[s+1]); positions restart at 0 in each, and sequences never see each other.
// Where nothing is trained, sequences that begin alike may be a tree, the beginning there once.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "io/nbp.h"

namespace nibble {

struct Batch {
  std::vector<int32_t> ids;        // (N)
  std::vector<int32_t> positions;  // (N)
  std::vector<int32_t> starts;     // (S+1)
  std::vector<int32_t> parents;    // (S) what a sequence goes on from, or -1; empty: no tree
  std::vector<int32_t> rows;       // (M) tokens whose successor is trained on, increasing
  std::vector<int32_t> targets;    // (M) that successor's id; kNoTarget where only filled up
  int64_t longest = 0;             // of the sequences, with what they go on from

  int64_t tokens() const { return static_cast<int64_t>(ids.size()); }
  int64_t sequences() const { return static_cast<int64_t>(starts.size()) - 1; }
  void clear();
  /// Appends a sequence. `trained[i]` says that token i is a target; the first token never is,
  /// having no predecessor. An empty `trained` trains all.
  void append(std::span<const int32_t> tokens, std::span<const uint8_t> trained);
  /// Appends what follows sequence `parent`, or a beginning for -1, and gives its number. The
  /// caller adds rows and targets. Every sequence of the batch must be appended so.
  int32_t append_after(int32_t parent, std::span<const int32_t> tokens);
  /// Appends the sequences of a shard's row.
  void append(const PackedRow& row);
};

/// How many tokens, sequences and trained tokens.
struct BatchShape {
  int64_t tokens = 0, sequences = 0, rows = 0;
  bool operator==(const BatchShape&) const = default;
};
/// The shape that a batch is filled up to where equal shapes are worth more than a few rows: one of
/// few, within `most`.
BatchShape filled_shape(const Batch& batch, const BatchShape& most);
/// `out` is the batch filled up to a shape: a sequence of its own, of which nothing is trained;
/// sequences without tokens; rows without targets. Losses and gradients are those of the batch.
void fill_up(const Batch& batch, const BatchShape& shape, Batch& out);

}  // namespace nibble
