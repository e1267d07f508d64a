// SPDX-License-Identifier: Apache-2.0
// Log-likelihoods of continuations: sum over a continuation's tokens of log p(token | all before).
// Sequences that belong together (the choices of a question) are read in one batch, as a tree
// (token_tree.h), longest first, so that batches are full and the first says how long it will take.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "eval/token_tree.h"
#include "model/weights.h"

namespace nibble {

struct Likelihood {
  double sum = 0.0;    // nats, at most 0
  int64_t tokens = 0;  // of the continuation
  bool greedy = true;  // every token is the one that greedy decoding takes
};

struct LikelihoodGroup {
  std::vector<ScoredIds> sequences;
  /// Groups of one kin share a long beginning and are read one after another.
  int64_t kin = 0;
};

struct LikelihoodOptions {
  int64_t batch_tokens = 4096;  // a group that has more makes a batch of its own
  Dtype compute = Dtype::kBf16;
  Device device;  // what computes
};

/// What is left to do, in tokens of the batches.
struct LikelihoodProgress {
  int64_t done = 0, all = 0;
};

/// Calls done(group, of its sequences) for every group, in no given order, and between batches
/// progress, which may throw to end it. Sequences are at most the model's context + 1 long, and
/// their ids of its vocabulary. Throws DataError where a logit is no number.
void score_groups(const Model& model, std::span<const LikelihoodGroup> groups,
                  const LikelihoodOptions& options,
                  const std::function<void(size_t, std::span<const Likelihood>)>& done,
                  const std::function<void(const LikelihoodProgress&)>& progress = {});

}  // namespace nibble
