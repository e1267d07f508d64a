// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <cstring>

namespace nibble {

void detail::check_failed(const char* file, int line, const char* what) {
  throw BugError(cat(file, ":", line, ": check failed: ", what, "; this is a bug in nibble"));
}

std::string errno_text(int error) {
  char buffer[256];
  return strerror_r(error, buffer, sizeof buffer);
}

}  // namespace nibble
