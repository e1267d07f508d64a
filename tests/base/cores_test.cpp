// SPDX-License-Identifier: Apache-2.0
// What control groups and the environment say about processors, read from folders made here.
#include "base/cores.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace nibble::test {
namespace {

namespace fs = std::filesystem;

class CoresTest : public ::testing::Test {
 protected:
  CoresTest() : folder_(fs::temp_directory_path() / ("cores-" + std::to_string(::getpid()))) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~CoresTest() override { fs::remove_all(folder_); }

  void put(const std::string& file, const std::string& text) const {
    fs::create_directories((folder_ / file).parent_path());
    std::ofstream(folder_ / file) << text;
  }
  int cores(const std::string& self) const {
    put("self", self);
    return cgroup_cores(folder_, folder_ / "self");
  }

 private:
  fs::path folder_;
};

TEST_F(CoresTest, NoGroupNoLimit) {
  EXPECT_EQ(cores(""), kNoLimit);
  EXPECT_EQ(cores("0::/\n"), kNoLimit);
  EXPECT_EQ(cores("no colons\n0:only one\n"), kNoLimit);
  EXPECT_EQ(cgroup_cores("/none", "/none/self"), kNoLimit);
}

TEST_F(CoresTest, TheTightestQuotaOnTheWayUpCounts) {
  put("job/cpu.max", "300000 100000\n");
  put("job/step/cpu.max", "max 100000\n");
  EXPECT_EQ(cores("0::/job/step\n"), 3);
  put("job/step/cpu.max", "150000 100000\n");
  EXPECT_EQ(cores("0::/job/step\n"), 2);  // one and a half
  put("cpu.max", "5000 100000\n");
  EXPECT_EQ(cores("0::/job/step\n"), 1);
}

TEST_F(CoresTest, AContainerSeesItsOwnGroupAsTheRoot) {
  put("cpu.max", "400000 100000\n");
  EXPECT_EQ(cores("0::/outside/of/what/is/mounted\n"), 4);
}

TEST_F(CoresTest, VersionOne) {
  put("cpu/job/cpu.cfs_quota_us", "200000\n");
  put("cpu/job/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(cores("3:cpuset:/\n1:cpu:/job\n"), 2);
  put("cpu/job/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(cores("1:cpu:/job\n"), kNoLimit);
  put("cpu,cpuacct/job/cpu.cfs_quota_us", "100000\n");
  put("cpu,cpuacct/job/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(cores("4:cpu,cpuacct:/job\n"), 1);
  EXPECT_EQ(cores("2:cpuacct:/job\n"), kNoLimit);
}

TEST_F(CoresTest, NonsenseIsNoLimit) {
  for (const char* text : {"", "max", "0 100000", "-1 100000", "100000 0", "x y", "nan nan"}) {
    put("cpu.max", text);
    EXPECT_EQ(cores("0::/\n"), kNoLimit) << text;
  }
}

TEST(CountOfThreads, IsANumberOrNone) {
  EXPECT_EQ(count_of_threads("4"), 4);
  EXPECT_EQ(count_of_threads("4,2"), 4);
  for (const char* text : {"", "0", "-3", "four", "4x", "4097", "99999999999999999999"})
    EXPECT_EQ(count_of_threads(text), 0) << text;
  EXPECT_EQ(count_of_threads(nullptr), 0);
}

}  // namespace
}  // namespace nibble::test
