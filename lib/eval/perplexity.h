// SPDX-License-Identifier: Apache-2.0
// Perplexity: exp of the mean negative log-likelihood of tokens given those before them. A text
// longer than the context is read in windows that overlap by context - stride; every token but the
// first is scored once, in the window where it has the most before it (the strided sliding window
// of Hugging Face's guide, each token weighing the same). Where stride equals the context, windows
// do not overlap and, as in the guide, the first token of each is not scored.
#pragma once

#include <functional>
#include <span>

#include "data/token_rows.h"
#include "io/nbp.h"
#include "model/step.h"

namespace nibble {

struct Perplexity {
  int64_t tokens = 0;  // scored
  double nll = 0.0;    // their summed negative log-likelihood, nats

  double loss() const { return tokens > 0 ? nll / static_cast<double>(tokens) : 0.0; }
  double perplexity() const;
};

struct PerplexityOptions {
  int64_t context = 1024;  // tokens of a window
  int64_t stride = 512;    // new tokens a window, at most the context
  int64_t batch_size = 4;  // windows, or rows of a shard, at a time
  Dtype compute = Dtype::kBf16;
  Device device;  // what computes
};

/// Called for every scored token, in order: its position in the text and its log-probability.
using TokenScore = std::function<void(int64_t position, float log_probability)>;

/// Of a text's ids.
Perplexity text_perplexity(const Model& model, std::span<const int32_t> ids,
                           const PerplexityOptions& options, const TokenScore& score = {});

/// Of the trained tokens of rows, each a text by itself.
using RowScore = std::function<void(size_t row, int64_t position, float log_probability)>;
Perplexity rows_perplexity(const Model& model, std::span<const TokenRow> rows,
                           const PerplexityOptions& options, const RowScore& score = {});

/// Of a packed shard's trained tokens. Throws DataError where it has none.
Perplexity shard_perplexity(const Model& model, ShardReader& shard,
                            const PerplexityOptions& options);

}  // namespace nibble
