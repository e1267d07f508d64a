// SPDX-License-Identifier: Apache-2.0
// Host code compiled as that of a kernel's file is: its accesses are seen.
#pragma once

namespace nibble::emulate_test {

float read_on_host(const float* p);

}  // namespace nibble::emulate_test
