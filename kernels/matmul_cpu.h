// SPDX-License-Identifier: Apache-2.0
// The two CPU halves of matmul.h, apart so that tests can hold both against the reference on any
// machine. Arguments were checked by matmul(); M, N and K are at least 1.
#pragma once

#include "kernels/matmul.h"

namespace nibble::cpu {

/// M, N and K of the product.
struct MatmulSize {
  int64_t m = 0, n = 0, k = 0;
};
MatmulSize matmul_size(const Matmul& op);

/// A oneDNN primitive on bf16 operands as they are: on processors that multiply them in tiles
/// (AMX), which our loops do not. The scratch is what the primitive asks for. onednn_supports:
/// whether this machine has one at all, however slow.
bool onednn_supports(const Matmul& op);
int64_t onednn_scratch_elements(const Matmul& op);
void matmul_onednn(const Matmul& op);

/// Summed in f32: of bf16 by pairs, where both operands are and bf16_dot() says how, else of
/// floats, whatever the operands are stored as. tiled_scratch_bound: enough for this product and
/// any that is no larger in M, N and K.
int64_t tiled_scratch_elements(const Matmul& op);
int64_t tiled_scratch_bound(const Matmul& op);
void matmul_tiled(const Matmul& op);

}  // namespace nibble::cpu
