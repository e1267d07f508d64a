// SPDX-License-Identifier: Apache-2.0
// The tables beside this file, as the build put them in.
#pragma once

#include <string_view>

namespace nibble {

extern const std::string_view kGpusCsv, kModelsCsv;

}  // namespace nibble
