// SPDX-License-Identifier: Apache-2.0
// SwiGLU (Shazeer 2020): out = silu(gate) * up, silu(x) = x / (1 + exp(-x)); gate and up are the
// two halves of one wide row. All row strides are free. Backward, s = sigmoid(gate):
//   dgate = dout * up * s * (1 + gate * (1 - s)),  dup = dout * gate * s
#pragma once

#include "tensor/tensor.h"

namespace nibble {

struct SwigluForward {
  Tensor out;      // (N,F) f32|bf16 written
  Tensor gate_up;  // (N,2F) as out: gate in columns [0,F), up in [F,2F)
};

struct SwigluBackward {
  Tensor dgate_up;  // (N,2F) f32|bf16 written; may be gate_up itself
  Tensor out;       // (N,F) as dgate_up, written: the forward output again; absent: not wanted
  Tensor dout;      // (N,F) as dgate_up
  Tensor gate_up;   // (N,2F) as dgate_up
};

void swiglu_forward(const SwigluForward& op, Stream stream = current_stream());
void swiglu_backward(const SwigluBackward& op, Stream stream = current_stream());

}  // namespace nibble
