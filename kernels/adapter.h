// SPDX-License-Identifier: Apache-2.0
// Low-rank adapters (Hu et al., "LoRA", 2021) of layers that read one input together, the upper
// halves: part p has a B of its own (O,R) and its columns of y, of xa = X A^T and of their
// gradients. The columns of xa lie part after part.
//   forward:  y_p  += scale_p xa_p B_p^T, or = where it is to be written
//   backward: dB_p += scale_p dy_p^T xa_p;   dxa_p = scale_p dy_p B_p
// On CUDA, bf16 whose ranks and columns are multiples of 8 (ranks to 128), and whose rows start at
// multiples of 16 bytes, are one launch for all parts forward and two backward; anything else, and
// all on the CPU, is a product a part. Backward reads dy once where ranks are 32 or less. A rerun
// has the same bits. dxa may lie in the rows of dy, behind dy's own columns.
#pragma once

#include <span>

#include "tensor/tensor.h"

namespace nibble {

struct AdapterPart {
  Tensor b;            // (O,R) as y
  Tensor db;           // (O,R) f32 added to; not read forward
  int64_t column = 0;  // of y, where the part's O begin
  float scale = 1.0f;
};

struct AdapterForward {
  enum class Output : bool { kAdd, kWrite };
  Tensor y;   // (N, all O or more) f32|bf16 added to or written, row stride free
  Tensor xa;  // (N, sum of R) as y, row stride free
  std::span<const AdapterPart> parts;
  Output output = Output::kAdd;
  Tensor scratch = {};  // of the CPU's products (matmul.h)
};

struct AdapterBackward {
  Tensor dxa;  // (N, sum of R) f32|bf16 written, row stride free
  Tensor dy;   // (N, all O or more) as dxa, row stride free
  Tensor xa;   // (N, sum of R) as dxa, row stride free
  std::span<const AdapterPart> parts;
  Tensor scratch = {};
};

void adapter_forward(const AdapterForward& op, Stream stream = current_stream());
void adapter_backward(const AdapterBackward& op, Stream stream = current_stream());

/// How CUDA shares out the backward of ranks to 32, which reads dy once: a block takes 512 outputs
/// of a part and a share of the rows; the blocks' sums go through the stream's workspace.
inline constexpr int kAdapterTile = 512;
struct AdapterShares {
  int64_t rows = 0;       // taken at a time; 0: dy is read once for each gradient
  int64_t shares = 0;     // of these
  int64_t rows_each = 0;  // of a share
  int64_t inner = 0;      // f32 sums of a row, for dxa
  int64_t outer = 0;      // f32 sums of a share, for dB
};
AdapterShares adapter_shares(std::span<const AdapterPart> parts, int64_t rows);

/// The same, a product a part, on either device.
void adapter_products(const AdapterForward& op, Stream stream);
void adapter_products(const AdapterBackward& op, Stream stream);

}  // namespace nibble
