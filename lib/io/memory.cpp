// SPDX-License-Identifier: Apache-2.0
#include "io/memory.h"

#include <sys/resource.h>

#include <fstream>
#include <string>

namespace nibble {

uint64_t peak_rss() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::stoull(line.substr(6)) * 1024;
  struct rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace nibble
