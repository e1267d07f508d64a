// SPDX-License-Identifier: Apache-2.0
// Batch: token sequences one after another without padding. Sequence s is tokens
// [starts[s], starts[s+1]); positions restart at 0 in each, and sequences never see each other.
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
  std::vector<int32_t> rows;       // (M) tokens whose successor is trained on, increasing
  std::vector<int32_t> targets;    // (M) that successor's id
  int64_t longest = 0;             // of the sequences

  int64_t tokens() const { return static_cast<int64_t>(ids.size()); }
  int64_t sequences() const { return static_cast<int64_t>(starts.size()) - 1; }
  void clear();
  /// Appends a sequence. `trained[i]` says that token i is a target; the first token never is,
  /// having no predecessor. An empty `trained` trains all.
  void append(std::span<const int32_t> tokens, std::span<const uint8_t> trained);
  /// Appends the sequences of a shard's row.
  void append(const PackedRow& row);
};

}  // namespace nibble
