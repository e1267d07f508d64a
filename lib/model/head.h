// SPDX-License-Identifier: Apache-2.0
// The end of the model: final norm, LM head and cross entropy over chunks of the labelled rows,
// with their gradients in the same pass, so that full logits never exist.
#pragma once

#include <functional>

#include "model/block.h"

namespace nibble {

struct HeadBuffers {
  Tensor hidden, normed;  // (chunk,C) compute
  Tensor rstd;            // (chunk) f32
  Tensor logits;          // (chunk,V) f32, or bf16 where the processor multiplies it
  Tensor dnormed;         // (chunk,C) compute; absent without gradients
  Tensor dhidden;         // (M,C) compute; absent without gradients
  Tensor losses;          // (M) f32
  Tensor panel;           // head rows in the type that the matmul reads
  Tensor matmul_scratch;
};

/// Rows that the loss is made for at a time, of so many.
int64_t head_chunk_rows(const ModelConfig& config, int64_t labelled, Device device);

/// Buffers for up to `labelled` rows. dhidden lies in `room`, which nothing else may use meanwhile.
HeadBuffers take_head(Arena& arena, const Model& model, const BlockSizes& sizes, int64_t labelled,
                      const Tensor& room = {});

struct HeadRun {
  Tensor stream;   // (N,C) compute: the residual stream after the last block
  Tensor dstream;  // (N,C) compute written: its gradient; absent: loss only
  Tensor loss;     // (1) f64 added to: the sum of all losses
};

/// Losses of the batch's labelled rows, in order, are left in buffers.losses. Gradients of the
/// final norm and the head, where trained, are added to, scaled as the batch says.
void run_head(const Model& model, const BatchTensors& batch, const HeadRun& run,
              const HeadBuffers& buffers);

/// Calls body(first, logits (m,V) of batch rows [first, first + m)) for all of the batch's rows,
/// which it may overwrite.
using LogitBody = std::function<void(int64_t first, const Tensor& logits)>;
void for_logits(const Model& model, const BatchTensors& batch, const Tensor& stream,
                const HeadBuffers& buffers, const LogitBody& body);

/// Logits (M,V) of rows of the stream, for generation. logits is (M,V) in buffers.logits.dtype,
/// M at most the chunk.
Tensor head_logits(const Model& model, const Tensor& stream, const Tensor& row_ids,
                   const HeadBuffers& buffers);

}  // namespace nibble
