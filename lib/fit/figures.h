// SPDX-License-Identifier: Apache-2.0
// The answer to be seen: memory by item against what there is, and what fits where.
#pragma once

#include "fit/answer.h"
#include "plot/figure.h"

namespace nibble {

/// A bar for each item of the plan, and for each method (an adapter through 4 bits, through 16
/// bits, all weights) the models of the catalogue against GPUs from 6 to 180 GiB: the plan's total
/// with the cheapest way to recompute that fits, or with the one that needs least.
Figure draw_answer(const Question& question, const Target& target, const Answer& answer,
                   const std::vector<Gpu>& catalogue);

}  // namespace nibble
