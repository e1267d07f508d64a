// SPDX-License-Identifier: Apache-2.0
#include "io/memory.h"

#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <string_view>

namespace nibble {
namespace {

// "MemTotal:  24612345 kB" in /proc/meminfo; 0 where there is no such line.
uint64_t meminfo(std::string_view name) {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(name))
      return std::strtoull(line.c_str() + name.size(), nullptr, 10) * 1024;
  return 0;
}

// A control group's number, or the most there is for "max" and where there is none.
uint64_t group_number(const std::filesystem::path& file) {
  std::ifstream in(file);
  uint64_t n = 0;
  return in >> n ? n : std::numeric_limits<uint64_t>::max();
}

struct Allowed {
  uint64_t total, available;
};

// The tightest of the control groups (version 2) that this process is in.
Allowed allowed() {
  namespace fs = std::filesystem;
  Allowed a{meminfo("MemTotal:"), meminfo("MemAvailable:")};
  std::ifstream file("/proc/self/cgroup");
  std::string line;
  while (std::getline(file, line) && !line.starts_with("0::")) continue;
  if (!line.starts_with("0::/")) return a;
  const fs::path root = "/sys/fs/cgroup";
  for (fs::path group = root / line.substr(4);; group = group.parent_path()) {
    const uint64_t most = group_number(group / "memory.max");
    if (most < a.total) {
      // Of what the group uses, its page cache would make way.
      uint64_t used = group_number(group / "memory.current");
      std::ifstream stat(group / "memory.stat");
      uint64_t bytes = 0;
      for (std::string key; stat >> key >> bytes;)
        if (key == "inactive_file" || key == "active_file") used -= std::min(used, bytes);
      a.total = most;
      a.available = std::min(a.available, most - std::min(most, used));
    }
    if (group == root || !group.has_relative_path()) return a;
  }
}

}  // namespace

uint64_t memory_total() {
  return allowed().total;
}
uint64_t memory_available() {
  return allowed().available;
}

void release_free_memory() {
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

uint64_t peak_rss() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::stoull(line.substr(6)) * 1024;
  struct rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace nibble
