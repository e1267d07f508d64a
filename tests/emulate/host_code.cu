// SPDX-License-Identifier: Apache-2.0
#include "host_code.h"

namespace nibble::emulate_test {

float read_on_host(const float* p) {
  return *p;
}

}  // namespace nibble::emulate_test
