// SPDX-License-Identifier: Apache-2.0
// Cross entropy over one chunk of logits, softmax, loss and gradient in one pass:
//   losses[m] = logsumexp_v logits[m,v] - logits[m,targets[m]]
//   logits[m,v] <- (softmax(logits[m,:])[v] - [v == targets[m]]) * grad_scale    (with gradient)
// Computed in fp32 (log-sum-exp with the row's maximum taken out). A row without a target fills a
// chunk up: its loss and gradient are 0, whatever its logits.
#pragma once

#include "tensor/tensor.h"

namespace nibble {

struct CrossEntropy {
  Tensor losses;   // (M) f32 written
  Tensor dlogits;  // (M,V) f32|bf16 written, may be `logits` itself; absent: loss only
  Tensor logits;   // (M,V) f32|bf16
  Tensor targets;  // (M) i32, each in [0, V), or kNoTarget
  float grad_scale = 1.0f;
  Tensor scale;  // (1) f32 that grad_scale is multiplied by; absent: 1
};
inline constexpr int32_t kNoTarget = -1;

/// out += the sum of in, in double, in an order that depends on M alone.
struct AddSum {
  Tensor out;  // (1) f64 added to
  Tensor in;   // (M) f32
};

void cross_entropy(const CrossEntropy& op, Stream stream = current_stream());
void add_sum(const AddSum& op, Stream stream = current_stream());

}  // namespace nibble
