// SPDX-License-Identifier: Apache-2.0
#include "base/cores.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <optional>

#include "base/control_groups.h"

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

}  // namespace

int cgroup_cores(const fs::path& mount, const fs::path& self) {
  int least = kNoLimit;
  for_control_groups("cpu", mount, self, [&](const fs::path& group, GroupVersion version) {
    least = std::min(least, version == GroupVersion::k1 ? limit_v1(group) : limit_v2(group));
  });
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
