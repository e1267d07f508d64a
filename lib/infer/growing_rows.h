// SPDX-License-Identifier: Apache-2.0
// The sequences that grow together, as the ops see them: of each its newest token, where that
// stands, how long the sequence is and what it has seen, on the device. Sampling writes the next
// step's input there, so that a step needs nothing of the host, which reads the tokens alone.
#pragma once

#include <span>

#include "fit/generator_layout.h"
#include "infer/sampling.h"
#include "model/batch_place.h"

namespace nibble {

/// A sequence that grows; slot i of the cache is that of row i.
struct Sequence {
  size_t index = 0;
  size_t prompt = 0;            // tokens of the prompt
  std::vector<int32_t> tokens;  // prompt and completion
  std::span<const int32_t> completion() const { return std::span(tokens).subspan(prompt); }
};

class GrowingRows {
 public:
  GrowingRows(const GeneratorBuffers& buffers, const SamplingOptions& options);

  /// The rows are these sequences, whose names are first_index and on; all others are idle. Begins
  /// a copy: choose() and chosen() come before the next.
  void put(std::span<const Sequence> sequences, uint64_t first_index);

  /// The first n rows as a batch of one token each.
  BatchTensors batch(int64_t n) const;

  /// Chooses the next tokens of rows [first, first + M) from their logits (M,V), and makes the rows
  /// ready to go on from them.
  void choose(const Tensor& logits, int64_t first) const;
  /// Begins to fetch what was chosen for rows [0, count).
  void fetch(int64_t count) const;
  /// Waits; kNotFinite among them where logits were no numbers.
  std::span<const int32_t> chosen() const;

 private:
  enum Kind { kIds, kPositions, kLengths, kSequences, kOrder, kChosen, kKinds };
  static_assert(kKinds == kGrowingNumbers);
  Tensor numbers(Kind kind, int64_t first, int64_t count) const;

  Sample sample_;
  Tensor numbers_;  // (kGrowingNumbers, B) i32
  Tensor seen_;     // (B, words) i32, used with a penalty alone
  HostMemory staging_, seen_staging_, chosen_;
};

}  // namespace nibble
