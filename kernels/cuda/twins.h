// SPDX-License-Identifier: Apache-2.0
// The CUDA halves of the ops, one line each. Every program links one set of definitions: those in
// the .cu files, or those of kernels/without_cuda/, which throw.
#pragma once

#include "tensor/device.h"

namespace nibble {

#define NIBBLE_CUDA_TWINS(TWIN)                          \
  TWIN(accumulate, Accumulate)                           \
  TWIN(adamw, AdamW)                                     \
  TWIN(adamw8bit, AdamW8bit)                             \
  TWIN(adapter_backward, AdapterBackward)                \
  TWIN(adapter_dropout_backward, AdapterDropoutBackward) \
  TWIN(adapter_forward, AdapterForward)                  \
  TWIN(add_sum, AddSum)                                  \
  TWIN(advance_rows, AdvanceRows)                        \
  TWIN(attention_backward, AttentionBackward)            \
  TWIN(attention_decode, AttentionDecode)                \
  TWIN(attention_forward, AttentionForward)              \
  TWIN(bias_backward, BiasBackward)                      \
  TWIN(bias_forward, BiasForward)                        \
  TWIN(cast, Cast)                                       \
  TWIN(cross_entropy, CrossEntropy)                      \
  TWIN(dense_matvec, DenseMatvec)                        \
  TWIN(dequantize, Dequantize)                           \
  TWIN(dropout, Dropout)                                 \
  TWIN(embedding_backward, EmbeddingBackward)            \
  TWIN(embedding_forward, EmbeddingForward)              \
  TWIN(gather_rows, GatherRows)                          \
  TWIN(l2_norm, L2Norm)                                  \
  TWIN(matmul, Matmul)                                   \
  TWIN(qk_backward, QkBackward)                          \
  TWIN(qk_forward, QkForward)                            \
  TWIN(quantize_4bit, Quantize4bit)                      \
  TWIN(quantize_dynamic8bit, QuantizeDynamic8bit)        \
  TWIN(quantize_int8, QuantizeInt8)                      \
  TWIN(quantized_matvec, QuantizedMatvec)                \
  TWIN(rmsnorm_backward, RmsnormBackward)                \
  TWIN(rmsnorm_forward, RmsnormForward)                  \
  TWIN(rmsnorm_heads_backward, RmsnormHeadsBackward)     \
  TWIN(rmsnorm_heads_forward, RmsnormHeadsForward)       \
  TWIN(rope, Rope)                                       \
  TWIN(sample, Sample)                                   \
  TWIN(scatter_rows, ScatterRows)                        \
  TWIN(sgd, Sgd)                                         \
  TWIN(store_cache, StoreCache)                          \
  TWIN(swiglu_backward, SwigluBackward)                  \
  TWIN(swiglu_forward, SwigluForward)                    \
  TWIN(uniform_noise, UniformNoise)                      \
  TWIN(weave, Weave)

#define NIBBLE_DECLARE_TWIN(name, Op)     \
  struct Op;                              \
  namespace cuda {                        \
  void name(const Op& op, Stream stream); \
  }
NIBBLE_CUDA_TWINS(NIBBLE_DECLARE_TWIN)
#undef NIBBLE_DECLARE_TWIN

}  // namespace nibble
