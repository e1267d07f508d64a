// SPDX-License-Identifier: Apache-2.0
#include "base/cores.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <optional>

namespace nibble {
namespace {

namespace fs = std::filesystem;

std::optional<double> number_in(const fs::path& file) {
  std::ifstream in(file);
  double n = 0;
  return in >> n ? std::optional(n) : std::nullopt;
}

int whole(double quota, double period) {
  if (!(quota > 0) || !(period > 0)) return kNoLimit;  // -1: unlimited
  return static_cast<int>(std::clamp(std::ceil(quota / period), 1.0, double{kNoLimit}));
}

// "quota period" or "max period".
int limit_v2(const fs::path& group) {
  std::ifstream file(group / "cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max") return kNoLimit;
  return whole(std::strtod(quota.c_str(), nullptr), period);
}

int limit_v1(const fs::path& group) {
  const auto quota = number_in(group / "cpu.cfs_quota_us");
  const auto period = number_in(group / "cpu.cfs_period_us");
  return quota && period ? whole(*quota, *period) : kNoLimit;
}

// The tightest from `path`, as the kernel names it, up to the root. A container may see a path that
// its mount does not have; the root then is its own group.
template <class Limit>
int tightest(const fs::path& root, const std::string& path, const Limit& limit) {
  int least = limit(root);
  for (fs::path group = fs::path(path).relative_path(); !group.empty(); group = group.parent_path())
    least = std::min(least, limit(root / group));
  return least;
}

bool names_cpu(const std::string& controllers) {
  return ("," + controllers + ",").find(",cpu,") != std::string::npos;
}

}  // namespace

int cgroup_cores(const fs::path& mount, const fs::path& self) {
  int least = kNoLimit;
  std::ifstream file(self);
  // "hierarchy:controllers:path"; version 2 has hierarchy 0 and names no controllers.
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (controllers.empty())
      least = std::min(
          {least, tightest(mount, path, limit_v2), tightest(mount / "unified", path, limit_v2)});
    else if (names_cpu(controllers))
      least = std::min({least, tightest(mount / "cpu", path, limit_v1),
                        tightest(mount / controllers, path, limit_v1)});
  }
  return least;
}

int count_of_threads(const char* text) {
  if (!text) return 0;
  char* end = nullptr;
  const long count = std::strtol(text, &end, 10);
  const bool is_count = end != text && (*end == '\0' || *end == ',') && count >= 1;
  return is_count && count <= 4096 ? static_cast<int>(count) : 0;
}

}  // namespace nibble
