// SPDX-License-Identifier: Apache-2.0
// Which cores the threads of a process stay on, by what it was given: each case is a process of its
// own, which computes on all its threads and says where each may run.
#include "base/threads.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "base/cores.h"

namespace nibble {
namespace {

std::vector<int> cores_of_thread() {
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(0, sizeof set, &set);
  std::vector<int> cores;
  for (int i = 0; i < CPU_SETSIZE; ++i)
    if (CPU_ISSET(i, &set)) cores.push_back(i);
  return cores;
}

std::string text(const std::vector<int>& cores) {
  std::string out;
  for (const int core : cores) out += (out.empty() ? "" : ",") + std::to_string(core);
  return out;
}

std::vector<int> first(std::vector<int> cores, size_t count) {
  cores.resize(count);
  return cores;
}

/// What `taskset` does, and Slurm says, before a program starts; then what each thread may run on,
/// and how many threads there are.
[[noreturn]] void compute_on(const std::vector<int>& given, int slurm) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int core : given) CPU_SET(core, &set);
  sched_setaffinity(0, sizeof set, &set);
  slurm ? setenv("SLURM_CPUS_PER_TASK", std::to_string(slurm).c_str(), 1)
        : unsetenv("SLURM_CPUS_PER_TASK");
  unsetenv("OMP_NUM_THREADS");
  set_threads(0);
  std::vector<std::string> ran(given.size() + 1);
  for (int again = 0; again < 3; ++again)
    parallel_for(threads(), 1, [&](int64_t begin, int64_t) {
      ran[static_cast<size_t>(begin)] = text(cores_of_thread());
    });
  for (int i = 0; i < threads(); ++i) std::cerr << ran[static_cast<size_t>(i)] << ";";
  const auto tasks = std::filesystem::directory_iterator("/proc/self/task");
  std::cerr << std::distance(begin(tasks), end(tasks)) << " in all\n";
  std::_Exit(0);
}

class ThreadsDeathTest : public ::testing::Test {
 protected:
  ThreadsDeathTest() {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    if (cgroup_cores() < std::ssize(cores_)) cores_.resize(static_cast<size_t>(cgroup_cores()));
  }
  const std::vector<int> all_ = cores_of_thread();
  std::vector<int> cores_ = all_;
};

using testing::ExitedWithCode;

TEST_F(ThreadsDeathTest, OneCoreOneThread) {
  const std::vector<int> last = {cores_.back()};
  EXPECT_EXIT(compute_on(last, 0), ExitedWithCode(0), "^" + text(last) + ";1 in all");
}

TEST_F(ThreadsDeathTest, SlurmGivesOneOfMany) {
  EXPECT_EXIT(compute_on(all_, 1), ExitedWithCode(0), "^" + text(all_) + ";1 in all");
}

TEST_F(ThreadsDeathTest, SlurmGivesAll) {
  if (cores_ != all_ || all_.size() < 2) GTEST_SKIP() << "needs two cores and no quota";
  std::string want = text(all_) + ";";
  for (size_t i = 1; i < all_.size(); ++i) want += std::to_string(all_[i]) + ";";
  EXPECT_EXIT(compute_on(all_, static_cast<int>(all_.size())), ExitedWithCode(0),
              "^" + want + std::to_string(all_.size()) + " in all");
}

TEST_F(ThreadsDeathTest, SomeOfTheMachinesCores) {
  if (cores_.size() < 3) GTEST_SKIP() << "needs three cores";
  const std::vector<int> two = first(cores_, 2);
  EXPECT_EXIT(compute_on(two, 0), ExitedWithCode(0),
              "^" + text(two) + ";" + std::to_string(two[1]) + ";2 in all");
}

TEST_F(ThreadsDeathTest, CoresThatAreOpenToAllAreNotPinned) {
  if (sysconf(_SC_NPROCESSORS_ONLN) != std::ssize(all_)) GTEST_SKIP() << "needs all cores";
  std::string want;
  for (size_t i = 0; i < cores_.size(); ++i) want += text(all_) + ";";
  EXPECT_EXIT(compute_on(all_, 0), ExitedWithCode(0),
              "^" + want + std::to_string(cores_.size()) + " in all");
}

}  // namespace
}  // namespace nibble
