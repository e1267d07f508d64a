// SPDX-License-Identifier: Apache-2.0
// English text split and lowercased as METEOR 1.5 does it with -norm.
#pragma once

#include <string>
#include <string_view>

#include "score/meteor15_data.h"

namespace nibble {

std::string meteor_normalize(std::string_view text, const PeriodKeepers& keepers);

}  // namespace nibble
