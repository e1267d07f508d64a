// SPDX-License-Identifier: Apache-2.0
#include "io/memory.h"

#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <string_view>

#include "base/control_groups.h"

namespace nibble {
namespace {

namespace fs = std::filesystem;

// "MemTotal:  24612345 kB" in /proc/meminfo; 0 where there is no such line.
uint64_t meminfo(std::string_view name) {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(name))
      return std::strtoull(line.c_str() + name.size(), nullptr, 10) * 1024;
  return 0;
}

constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();

// A control group's number; kNoLimit for "max" and where there is none.
uint64_t group_number(const fs::path& file) {
  std::ifstream in(file);
  uint64_t n = 0;
  return in >> n ? n : kNoLimit;
}

// What a version of control groups calls its files, and in memory.stat the page cache.
struct GroupFiles {
  const char *limit, *used, *inactive, *active;
};
constexpr GroupFiles kVersion1 = {"memory.limit_in_bytes", "memory.usage_in_bytes",
                                  "total_inactive_file", "total_active_file"};
constexpr GroupFiles kVersion2 = {"memory.max", "memory.current", "inactive_file", "active_file"};

void limit_to(const fs::path& group, const GroupFiles& files, MemoryAllowed& allowed) {
  const uint64_t most = group_number(group / files.limit);
  if (most == kNoLimit) return;
  // Of what the group uses, its page cache would make way.
  uint64_t used = group_number(group / files.used);
  std::ifstream stat(group / "memory.stat");
  uint64_t bytes = 0;
  for (std::string key; stat >> key >> bytes;)
    if (key == files.inactive || key == files.active) used -= std::min(used, bytes);
  allowed.total = std::min(allowed.total, most);
  allowed.available = std::min(allowed.available, most - std::min(most, used));
}

MemoryAllowed allowed() {
  return limited_by_groups({meminfo("MemTotal:"), meminfo("MemAvailable:")});
}

}  // namespace

MemoryAllowed limited_by_groups(MemoryAllowed machine, const fs::path& mount,
                                const fs::path& self) {
  for_control_groups("memory", mount, self, [&](const fs::path& group, GroupVersion version) {
    limit_to(group, version == GroupVersion::k1 ? kVersion1 : kVersion2, machine);
  });
  return machine;
}

uint64_t memory_total() {
  return allowed().total;
}
uint64_t memory_available() {
  return allowed().available;
}

uint64_t address_space_available() {
  struct rlimit limit = {};
  if (::getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return UINT64_MAX;
  uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const uint64_t used = pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  return limit.rlim_cur - std::min<uint64_t>(used, limit.rlim_cur);
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
