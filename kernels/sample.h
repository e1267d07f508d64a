// SPDX-License-Identifier: Apache-2.0
// Choosing each row's next token, with the knobs that transformers has, in its order: repetition
// penalty (Keskar et al. 2019), temperature, top-k, top-p (Holtzman et al. 2020), min-p (Nguyen et
// al. 2024), then a draw. Temperature 0 takes the largest logit, the first of equals.
//   x[v] = logits[v], where v was seen times (negative) or over (else) the penalty; over
//   temperature w[v] = floor of 2^40 exp(x[v] - max x), an integer, so that sums do not depend on
//   their order top-k keeps the x that are not below the k-th largest. top-p removes from the least
//   on, of equals the first, as many as together weigh at most 1-p of what top-k kept. min-p
//   removes what weighs less than min_p times the largest. The token is the first at which the kept
//   weights, added up from v = 0 on, pass u times their sum: u has the upper 53 bits of words 0 and
//   1 of philox(seed, s, 0), and s = kSample 2^48 ^ sequence 2^24 ^ length.
// Both halves compute the same integers: the same logits make the same token.
#pragma once

#include "tensor/tensor.h"

namespace nibble {

struct Sample {
  Tensor chosen;  // (B) i32 written: the token; 0 for an idle row, kNotFinite for a row like that
  Tensor processed;  // (B,V) f32 written: x, -inf where removed; absent: not wanted
  Tensor logits;     // (B,V) f32|bf16
  Tensor lengths;    // (B) i32: tokens so far; 0: the row is idle
  Tensor sequences;  // (B) i32: names of the texts
  Tensor seen;       // (B, ceil(V/32)) i32: a bit a token; absent without a penalty
  float temperature = 0.0f;
  int64_t top_k = 0;   // 0: off
  double top_p = 1.0;  // 1: off
  double min_p = 0.0;  // 0: off
  float repetition_penalty = 1.0f;
  uint64_t seed = 0;
  Tensor scratch;  // (sample_scratch) f32
};
inline constexpr int32_t kNotFinite = -1;

/// Makes the rows ready for their next step, in which the chosen tokens are read. Idle rows stay.
struct AdvanceRows {
  Tensor ids;        // (B) i32 written: the chosen token, 0 where there is none
  Tensor positions;  // (B) i32 written: its place, the length before
  Tensor lengths;    // (B) i32: one is added
  Tensor seen;       // (B, ceil(V/32)) i32: the token's bit is set; absent: not kept
  Tensor chosen;     // (B) i32
};

/// f32 elements of scratch for up to B rows of a vocabulary of V.
int64_t sample_scratch(int64_t b, int64_t v, Device device = current_stream().device);
/// Blocks of the CUDA half that look for a row's largest.
inline constexpr int64_t kSampleParts = 32;
/// Words of a row of `seen`.
constexpr int64_t seen_words(int64_t v) {
  return (v + 31) / 32;
}

void sample(const Sample& op, Stream stream = current_stream());
void advance_rows(const AdvanceRows& op, Stream stream = current_stream());

}  // namespace nibble
