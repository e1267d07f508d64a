// SPDX-License-Identifier: Apache-2.0
#include "base/cannot_read.h"

#include <cerrno>

#include "base/error.h"

namespace nibble {
namespace {

std::string_view remedy(int error) {
  switch (error) {
    case EACCES:
    case EPERM:
      return "check its permissions";
    case EISDIR:
      return "name a file";
    case EMFILE:
      return "allow more open files (ulimit -n)";
    case ENFILE:
      return "the system has too many files open: close other programs";
    default:
      return "check the path";
  }
}

}  // namespace

void throw_cannot_read(std::string_view place, int error) {
  throw NoInputError(cat(place, ": cannot read: ", errno_text(error), "; ", remedy(error)));
}

}  // namespace nibble
