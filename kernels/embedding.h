// SPDX-License-Identifier: Apache-2.0
// Embedding: out[n,:] = table[ids[n],:]; backward dtable[ids[n],:] += dout[n,:], in order of n for
// every row, so that a rerun is bit-equal.
#pragma once

#include "tensor/tensor.h"

namespace nibble {

struct EmbeddingForward {
  Tensor out;    // (N,C) f32|bf16 written
  Tensor ids;    // (N) i32, each in [0, V)
  Tensor table;  // (V,C) f32|bf16|f16
};

struct EmbeddingBackward {
  Tensor dtable;  // (V,C) f32 added to
  Tensor dout;    // (N,C) f32|bf16, row stride free
  Tensor ids;     // (N) i32
};

void embedding_forward(const EmbeddingForward& op, Stream stream = current_stream());
void embedding_backward(const EmbeddingBackward& op, Stream stream = current_stream());

}  // namespace nibble
