// SPDX-License-Identifier: Apache-2.0
// A folder is one run's, is made where it is missing, and is left as it was found.
#include "train/run_folder.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "base/error.h"
#include "support/folder_test.h"

namespace nibble::test {
namespace {

using RunFolderTest = FolderTest;

std::string fault_of(const fs::path& out) {
  return thrown([&] { RunFolder folder(out); });
}

TEST_F(RunFolderTest, IsMadeAndTakenAwayWhereNothingCameIn) {
  {
    RunFolder run(path("a") / "b" / "");
    EXPECT_TRUE(fs::exists(path("a") / "b" / "train.lock"));
  }
  EXPECT_FALSE(fs::exists(path("a")));
  fs::create_directory(path("mine"));
  { RunFolder run(path("mine")); }
  EXPECT_TRUE(fs::is_empty(path("mine")));
  {
    RunFolder run(path("c") / "d");
    write_text_file(path("c") / "result", "kept");
  }
  EXPECT_TRUE(fs::exists(path("c") / "result"));
  EXPECT_FALSE(fs::exists(path("c") / "d"));
}

TEST_F(RunFolderTest, BelongsToOneRunUntilThatEndsHowever) {
  const fs::path out = path("out");
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    RunFolder run(out);
    if (::write(ready[1], "x", 1) == 1) ::pause();
    ::_exit(0);
  }
  char x;
  ASSERT_EQ(::read(ready[0], &x, 1), 1);
  const std::string fault = fault_of(out);
  EXPECT_TRUE(fault.starts_with(cat("73: ", out.string(), ": process ", int64_t{child}, " on ")))
      << fault;
  EXPECT_TRUE(fault.ends_with(" trains into it; wait for it or choose another --out")) << fault;
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(fs::exists(out / "train.lock"));
  EXPECT_EQ(fault_of(out), "nothing thrown");
  EXPECT_FALSE(fs::exists(out / "train.lock"));
}

TEST_F(RunFolderTest, RefusesWhatIsNoFolder) {
  write_text_file(path("file"), "mine");
  EXPECT_TRUE(fault_of(path("file")).starts_with("73: ")) << fault_of(path("file"));
  EXPECT_TRUE(fault_of(path("file") / "out").starts_with("73: "));
  EXPECT_EQ(read_text_file(path("file")), "mine");
  fs::create_symlink("nowhere", path("link"));
  EXPECT_TRUE(fault_of(path("link")).starts_with("73: ")) << fault_of(path("link"));
  EXPECT_TRUE(fs::is_symlink(path("link")));
}

}  // namespace
}  // namespace nibble::test
