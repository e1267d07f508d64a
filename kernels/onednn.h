// SPDX-License-Identifier: Apache-2.0
// oneDNN, opened when a product first wants it and not when a program starts: loading it takes ten
// times as long as all else that a tool does before its work, and processors that multiply no bf16
// never need it. Its C interface, each function by its name without "dnnl_".
#pragma once

#include "dnnl.h"
#include "dnnl_debug.h"

namespace nibble::cpu {

#define NIBBLE_ONEDNN(X)                \
  X(status2str)                         \
  X(get_effective_cpu_isa)              \
  X(engine_create)                      \
  X(stream_create)                      \
  X(stream_wait)                        \
  X(stream_destroy)                     \
  X(memory_desc_init_by_strides)        \
  X(memory_desc_get_size)               \
  X(memory_create)                      \
  X(memory_destroy)                     \
  X(primitive_attr_create)              \
  X(primitive_attr_destroy)             \
  X(primitive_attr_set_scratchpad_mode) \
  X(primitive_attr_set_output_scales)   \
  X(primitive_attr_set_post_ops)        \
  X(post_ops_create)                    \
  X(post_ops_destroy)                   \
  X(post_ops_append_sum)                \
  X(matmul_desc_init)                   \
  X(primitive_desc_create)              \
  X(primitive_desc_query_md)            \
  X(primitive_desc_destroy)             \
  X(primitive_create)                   \
  X(primitive_execute)                  \
  X(primitive_destroy)

struct OneDnn {
#define NIBBLE_MEMBER(name) decltype(&dnnl_##name) name;
  NIBBLE_ONEDNN(NIBBLE_MEMBER)
#undef NIBBLE_MEMBER
};

/// Throws UnavailableError where the library is not there.
const OneDnn& onednn();

}  // namespace nibble::cpu
