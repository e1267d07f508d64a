// SPDX-License-Identifier: Apache-2.0
// Optimizer updates over flat fp32 storage: all trained tensors lie one after another in `values`
// and `gradients`, a table of segments says where each is. One call updates them all.
//   AdamW (Loshchilov & Hutter 2019), as torch.optim.AdamW: p -= lr*wd*p;
//     m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2; p -= lr * (m/(1-b1^t)) / (sqrt(v/(1-b2^t)) + eps)
//   AdamW 8-bit (Dettmers et al. 2022), as bitsandbytes 0.50's AdamW8bit on the CPU: the same
//     formula, m and v kept as codes of the dynamic map (signed for m, unsigned for v;
//     kernels/code_books.h) with one absmax a block of 256, per segment; segments under 4096
//     elements keep fp32 state. Where the machine has fused multiply-add the state equals
//     bitsandbytes' bit for bit, and the values but for torch's sqrt, which may err by an ulp.
//   SGD with momentum, as torch.optim.SGD: b = beta b + (g + wd p), b = g + wd p at first; p -= lr
//   b.
// Hyperparameters are doubles, since 1 - beta is what counts. The bits of a result depend on the
// instruction set but not on the number of threads; nothing is allocated.
#pragma once

#include <span>
#include <vector>

#include "tensor/tensor.h"

namespace nibble {

/// One trained tensor inside the flat storage.
struct ParameterRange {
  int64_t begin = 0, count = 0;
  float weight_decay = 0.0f;
};

struct AdamW {
  Tensor values;     // (P) f32 read and written
  Tensor gradients;  // (P) f32
  Tensor m, v;       // (P) f32 read and written
  std::span<const ParameterRange> segments;
  double learning_rate = 0, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  float gradient_scale = 1.0f;  // multiplies every gradient
  Tensor clip = {};             // (1) f32, multiplies gradient_scale; not finite: nothing changes
  int64_t step = 1;             // 1-based
};

/// 8-bit state. Blocks of 256 start anew at every segment. Before the first update all of it is
/// zero bytes, as bitsandbytes has it.
struct AdamW8bit {
  Tensor values, gradients;   // (P) f32; values read and written
  Tensor m_codes, v_codes;    // (P) u8 read and written
  Tensor m_absmax, v_absmax;  // (adamw8bit_blocks) f32 read and written
  Tensor m_small, v_small;    // (adamw8bit_small) f32: state of segments under 4096 elements
  std::span<const ParameterRange> segments;
  double learning_rate = 0, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  float gradient_scale = 1.0f;
  Tensor clip = {};
  int64_t step = 1;
};
int64_t adamw8bit_blocks(std::span<const ParameterRange> segments);
int64_t adamw8bit_small(std::span<const ParameterRange> segments);

struct Sgd {
  Tensor values, gradients;  // (P) f32; values read and written
  Tensor momentum;           // (P) f32 read and written; absent: none
  std::span<const ParameterRange> segments;
  double learning_rate = 0, beta = 0.0;
  float gradient_scale = 1.0f;
  Tensor clip = {};
  int64_t step = 1;
};

void adamw(const AdamW& op, Stream stream = current_stream());
void adamw8bit(const AdamW8bit& op, Stream stream = current_stream());
void sgd(const Sgd& op, Stream stream = current_stream());

/// The 2-norm of a dense f32 tensor, summed in double: on the CPU the same bits whatever the thread
/// count and the instruction set, on CUDA at every rerun. And what clips gradients by it, as
/// torch.nn.utils.clip_grad_norm_ does: min(1, limit / (norm + 1e-6)), 1 without a limit, NaN where
/// the norm is not finite, by which an update changes nothing. Waits only for `out`.
struct L2Norm {
  Tensor in;                    // (P) f32
  double* out = nullptr;        // of the host; null: not wanted
  Tensor norm = {}, clip = {};  // (1) f32 written; absent: not wanted
  double limit = 0.0;           // 0: none
};
void l2_norm(const L2Norm& op, Stream stream = current_stream());
double l2_norm(const Tensor& tensor, Stream stream = current_stream());

/// The factor for a norm and a limit.
double clip_factor(double norm, double limit);

}  // namespace nibble
