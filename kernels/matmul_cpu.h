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

/// A oneDNN primitive on bf16 operands as they are. The scratch is what the primitive asks for.
/// native_supports: whether this machine has one at all, however slow.
bool native_supports(const Matmul& op);
int64_t native_scratch_elements(const Matmul& op);
void matmul_native(const Matmul& op);

/// In f32, whatever the operands are stored as. widened_scratch_bound: enough for this product and
/// any that is no larger in M, N and K.
int64_t widened_scratch_elements(const Matmul& op);
int64_t widened_scratch_bound(const Matmul& op);
void matmul_widened(const Matmul& op);

}  // namespace nibble::cpu
