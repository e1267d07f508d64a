// SPDX-License-Identifier: Apache-2.0
// The edits of TER (Snover et al., 2006): insertions, deletions, substitutions, and shifts of runs
// of words, each one edit. The search is Tercom's as sacrebleu carries it out: greedy over shifts
// of runs that stand in the reference, by an edit distance kept to a beam about the diagonal.
#pragma once

#include <cstdint>
#include <span>

namespace nibble {

/// Edits that make the reference of the hypothesis.
int64_t ter_edits(std::span<const int32_t> hypothesis, std::span<const int32_t> reference);

}  // namespace nibble
