// SPDX-License-Identifier: Apache-2.0
// A weight's name in a Hugging Face folder and in GGUF, both ways, for the families that nibble
// knows; and the one difference in layout: for LLaMA, GGUF keeps Meta's order of the rows of q and
// k, in which the two elements that RoPE rotates together are neighbours, where Hugging Face keeps
// them half a head apart.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nibble {

/// "model.layers.3.self_attn.q_proj.weight" to "blk.3.attn_q.weight", or nothing for a name that is
/// not in the table.
std::optional<std::string> gguf_name(std::string_view hf);
/// The other way.
std::optional<std::string> hf_name(std::string_view gguf);

/// Whether the rows of that weight (by its Hugging Face name) change order in a GGUF file of that
/// architecture: q and k, weight and bias, of "llama".
bool rows_interleave(std::string_view architecture, std::string_view hf);

/// The row of the interleaved layout that holds row `row` of Hugging Face's: within a head of D
/// rows, row i < D/2 is at 2i and row D/2 + i at 2i + 1.
inline int64_t interleaved_row(int64_t row, int64_t head_dim) {
  const int64_t head = row / head_dim, i = row % head_dim, half = head_dim / 2;
  return head * head_dim + (i < half ? 2 * i : 2 * (i - half) + 1);
}
/// The inverse.
inline int64_t split_row(int64_t row, int64_t head_dim) {
  const int64_t head = row / head_dim, i = row % head_dim;
  return head * head_dim + i / 2 + (i % 2) * (head_dim / 2);
}

}  // namespace nibble
