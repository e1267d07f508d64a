// SPDX-License-Identifier: Apache-2.0
// Token sequences that begin alike, as a tree: what they share is in the batch once, and its keys
// and values serve all of them. So the choices of a question cost their own tokens only, and the
// examples before many questions are read once a batch.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/batch.h"

namespace nibble {

/// Tokens of which those from `first` on (at least 1, below the size) are to be predicted.
struct ScoredIds {
  std::vector<int32_t> ids;
  int64_t first = 1;
};

/// One prediction of a batch: token `token` of sequence `sequence` is predicted by batch.rows[row].
struct Prediction {
  int32_t row = 0, sequence = 0, token = 0;
};

/// Beginnings shorter than this are read again: a sequence has a price of its own.
inline constexpr int64_t kShortestShared = 8;

/// How many tokens both begin with.
int64_t common_length(std::span<const int32_t> a, std::span<const int32_t> b);

/// At most what the sequence adds to a batch that has `before`.
int64_t added_tokens(const ScoredIds& sequence, const ScoredIds* before);

/// Fills a batch with the sequences, the last token of each left out, since nothing is asked of it.
/// Predictions are sorted by row; the batch's target of a row is that of its first prediction.
void make_tree(std::span<const ScoredIds* const> sequences, Batch& batch,
               std::vector<Prediction>& predictions);

}  // namespace nibble
