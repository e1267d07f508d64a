// SPDX-License-Identifier: Apache-2.0
// A model's copy in an arena of its own.
#pragma once

#include "model/device_model.h"

namespace nibble::test {

/// `out` becomes the copy of `host`, another model; it lies in the arena returned.
inline Arena copy_to(Device device, const Model& host, Model& out,
                     const WeightPlacement& placement = {}) {
  return make_arena(device, [&](Arena& arena) { out = copy_model(host, arena, placement); });
}

}  // namespace nibble::test
