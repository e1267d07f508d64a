// SPDX-License-Identifier: Apache-2.0
// How many processors this process was given, and by whom: an affinity mask (taskset, Slurm's task
// binding), a control group's quota (a container, a batch system), or Slurm's own count.
#pragma once

#include <filesystem>
#include <string>

namespace nibble {

inline constexpr int kNoLimit = 1 << 20;

/// The processors that the control groups of a process allow, rounded up: the tightest quota on the
/// way from its group to the root, of version 2 (cpu.max) or 1 (cpu.cfs_quota_us). `mount` is where
/// the groups are mounted, `self` lists the process's own. kNoLimit where there is none.
int cgroup_cores(const std::filesystem::path& mount = "/sys/fs/cgroup",
                 const std::filesystem::path& self = "/proc/self/cgroup");

/// A count of threads as OMP_NUM_THREADS has it ("4", or "4,2" for nested ones), or Slurm's
/// SLURM_CPUS_PER_TASK; 0 where `text` is null or no such count.
int count_of_threads(const char* text);

}  // namespace nibble
