// SPDX-License-Identifier: Apache-2.0
// Cross entropy over one chunk of logits, softmax, loss and gradient in one pass:
//   losses[m] = logsumexp_v logits[m,v] - logits[m,targets[m]]
//   logits[m,v] <- (softmax(logits[m,:])[v] - [v == targets[m]]) * grad_scale    (with gradient)
// Computed in fp32 (log-sum-exp with the row's maximum taken out).
#pragma once

#include "tensor/tensor.h"

namespace nibble {

struct CrossEntropy {
  Tensor losses;   // (M) f32 written
  Tensor dlogits;  // (M,V) f32|bf16 written, may be `logits` itself; absent: loss only
  Tensor logits;   // (M,V) f32|bf16
  Tensor targets;  // (M) i32, each in [0, V)
  float grad_scale = 1.0f;
};

/// The sum of a dense f32 vector in double, in a fixed order. Waits for the stream.
struct Sum {
  Tensor in;
  double* out;  // of the host
};

void cross_entropy(const CrossEntropy& op, Stream stream = current_stream());
double sum(const Tensor& vector, Stream stream = current_stream());

}  // namespace nibble
