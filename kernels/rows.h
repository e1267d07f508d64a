// SPDX-License-Identifier: Apache-2.0
// Rows picked and put back: out[m,:] = in[rows[m],:], and out[rows[m],:] = in[m,:] for distinct
// rows.
#pragma once

#include "tensor/tensor.h"

namespace nibble {

struct GatherRows {
  Tensor out;   // (M,C) f32|bf16 written
  Tensor in;    // (N,C) as out
  Tensor rows;  // (M) i32, each in [0, N)
};

struct ScatterRows {
  Tensor
      out;    // (N,C) f32|bf16, row stride free; the named rows are written, the others set to zero
  Tensor in;  // (M,C) as out
  Tensor rows;  // (M) i32, increasing
};

void gather_rows(const GatherRows& op, Stream stream = current_stream());
void scatter_rows(const ScatterRows& op, Stream stream = current_stream());

}  // namespace nibble
