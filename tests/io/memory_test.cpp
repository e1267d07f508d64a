// SPDX-License-Identifier: Apache-2.0
// What control groups leave of a machine's memory, read from folders made here.
#include "io/memory.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <fstream>

#include "support/folder_test.h"

namespace nibble::test {
namespace {

class MemoryTest : public FolderTest {
 protected:
  void put(const std::string& file, const std::string& text) const {
    fs::create_directories(path(file).parent_path());
    std::ofstream(path(file)) << text;
  }
  /// "total available" of a machine of 1000 with 700 free.
  std::string left(const std::string& self) const {
    put("self", self);
    const MemoryAllowed left = limited_by_groups({1000, 700}, folder(), path("self"));
    return cat(left.total, " ", left.available);
  }
};

TEST_F(MemoryTest, NoGroupNoLimit) {
  EXPECT_EQ(left(""), "1000 700");
  EXPECT_EQ(left("0::/\n2:memory:/job\nno colons\n"), "1000 700");
}

TEST_F(MemoryTest, VersionTwoUpToTheRoot) {
  put("job/memory.max", "500\n");
  put("job/memory.current", "300\n");
  put("job/memory.stat", "anon 200\nfile 100\ninactive_file 60\nactive_file 30\n");
  put("job/step/memory.max", "max\n");
  EXPECT_EQ(left("0::/job/step\n"), "500 290");  // the page cache would make way
  put("job/step/memory.max", "400\n");
  put("job/step/memory.current", "350\n");
  EXPECT_EQ(left("0::/job/step\n"), "400 50");
  EXPECT_EQ(left("0::/other\n"), "1000 700");
}

TEST_F(MemoryTest, VersionOneUpToTheRoot) {
  put("memory/memory.limit_in_bytes", "9223372036854771712\n");  // none
  put("memory/memory.usage_in_bytes", "600\n");
  put("memory/slurm/job/memory.limit_in_bytes", "800\n");
  put("memory/slurm/job/memory.usage_in_bytes", "500\n");
  put("memory/slurm/job/memory.stat",
      "inactive_file 1\ntotal_inactive_file 40\ntotal_active_file 10\n");
  EXPECT_EQ(left("5:cpu,memory:/slurm/job/step_0\n0::/\n"), "800 350");
  EXPECT_EQ(left("5:cpuset:/slurm/job\n"), "1000 700");
}

TEST_F(MemoryTest, AContainerSeesItsOwnGroupAsTheRoot) {
  put("memory.max", "600\n");
  put("memory.current", "100\n");
  EXPECT_EQ(left("0::/outside/of/what/is/mounted\n"), "600 500");
}

TEST(AddressSpace, IsWhatTheLimitLeaves) {
  struct rlimit old = {};
  ASSERT_EQ(::getrlimit(RLIMIT_AS, &old), 0);
  if (old.rlim_cur == RLIM_INFINITY) {
    EXPECT_EQ(address_space_available(), UINT64_MAX);
  }
  const rlim_t large = rlim_t{1} << 40;
  const struct rlimit low = {.rlim_cur = large, .rlim_max = old.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &low), 0);
  const uint64_t left = address_space_available();
  const struct rlimit none = {.rlim_cur = 1, .rlim_max = old.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &none), 0);
  const uint64_t nothing = address_space_available();
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &old), 0);
  EXPECT_LT(left, large);
  EXPECT_GT(left, large - (large >> 4));
  EXPECT_EQ(nothing, 0u);
}

}  // namespace
}  // namespace nibble::test
