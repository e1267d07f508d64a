// SPDX-License-Identifier: Apache-2.0
// The small passes that stand alone: casts, sums, bias, and random masks and noise that are pure
// functions of (seed, stream, index), so that backward and a resumed run draw the same again.
#pragma once

#include "tensor/tensor.h"

namespace nibble {

/// out = in, converted (f32, bf16, f16 to f32, bf16). Shapes equal; rank 2 may have row strides.
struct Cast {
  Tensor out;  // (N,C) or any dense shape; written
  Tensor in;
};

/// out = out * beta + in * alpha; with beta 0, out is not read. Types f32|bf16, each its own.
struct Accumulate {
  Tensor out;  // (N,C), row stride free; read and written
  Tensor in;   // (N,C), row stride free
  float alpha = 1.0f;
  float beta = 1.0f;
};

/// out[n,o] += bias[o]; backward dbias[o] += sum_n dout[n,o], summed in fp32 in a fixed order.
struct BiasForward {
  Tensor inout;  // (N,O) f32|bf16, row stride free
  Tensor bias;   // (O) f32|bf16
};
struct BiasBackward {
  Tensor dbias;  // (O) f32 added to
  Tensor dout;   // (N,O) f32|bf16, row stride free
};

/// Inverted dropout (Srivastava et al. 2014): element i of the dense (N,C) index space is kept with
/// probability 1-p, namely where unit_float(word) >= p (base/rng.h) for word i%4 of
/// philox(seed, stream, counter + draw 2^36 + i/4), and scaled by 1/(1-p); 0 <= p < 1.
/// Its backward is itself, applied to the gradient.
struct Dropout {
  Tensor out;  // (N,C) f32|bf16 written or, with kAdd, added to, row stride free; may be `in`
  Tensor in;   // (N,C) as out
  float p = 0.0f;
  uint64_t seed = 0, stream = 0, counter = 0;
  Tensor draw;  // (1) i32, names a range of counters; absent: 0
  enum class Output : bool { kWrite, kAdd } output = Output::kWrite;
};

/// NEFTune (Jain et al. 2023): inout[n,c] += scales[n] * u, u = 2 unit_float(word) - 1 for word i%4
/// of philox(seed, stream, counter + draw 2^36 + i/4). scales[n] is alpha / sqrt(length * C) of the
/// sequence that row n belongs to.
struct UniformNoise {
  Tensor inout;   // (N,C) f32|bf16 read and written
  Tensor scales;  // (N) f32
  uint64_t seed = 0, stream = 0, counter = 0;
  Tensor draw;  // (1) i32, names a range of counters; absent: 0
};
inline constexpr int kDrawShift = 36;  // counters of a draw: 2^36

void cast(const Cast& op, Stream stream = current_stream());
void accumulate(const Accumulate& op, Stream stream = current_stream());
void bias_forward(const BiasForward& op, Stream stream = current_stream());
void bias_backward(const BiasBackward& op, Stream stream = current_stream());
void dropout(const Dropout& op, Stream stream = current_stream());
void uniform_noise(const UniformNoise& op, Stream stream = current_stream());

}  // namespace nibble
