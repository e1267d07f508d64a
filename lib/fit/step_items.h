// SPDX-License-Identifier: Apache-2.0
// The buffers of a step by what they are for, so that a plan says where memory goes.
#pragma once

#include "fit/memory_plan.h"

namespace nibble {

/// Adds every buffer to the item of its kind. What the arena took beyond these, so that the sum is
/// always the arena's, is added as "other buffers"; a test holds that at nothing.
void add_step_items(MemoryPlan& plan, const StepBuffers& buffers, const StepOptions& options,
                    uint64_t arena_bytes);

}  // namespace nibble
