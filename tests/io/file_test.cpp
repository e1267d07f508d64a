// SPDX-License-Identifier: Apache-2.0
// Files and folders appear whole or not at all, and what was there stays until then.
#include "io/file.h"
#include "io/same_file.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <fstream>

#include "base/error.h"
#include "io/lines.h"
#include "io/placed_reader.h"
#include "support/folder_test.h"

namespace nibble::test {
namespace {

class FileTest : public FolderTest {
 protected:
  std::string names() const {
    std::string out;
    for (const auto& entry : fs::directory_iterator(folder()))
      out += cat(out.empty() ? "" : " ", entry.path().filename().string());
    return out;
  }
};

TEST_F(FileTest, AFileIsReplacedWhenItIsWhole) {
  const fs::path file = path("x");
  write_text_file(file, "old");
  ::chmod(file.c_str(), 0640);
  {
    AtomicFile half(file);
    half.write("new and longer");
    EXPECT_EQ(read_text_file(file), "old");
  }
  EXPECT_EQ(names(), "x");
  EXPECT_EQ(read_text_file(file), "old");
  AtomicFile whole(file);
  whole.write(std::string(3 << 20, 'a'));
  whole.write_at(1 << 20, "b", 1);
  EXPECT_EQ(whole.size(), size_t{3} << 20);
  whole.commit();
  EXPECT_EQ(names(), "x");
  const std::string text = read_text_file(file);
  EXPECT_EQ(text.size(), size_t{3} << 20);
  EXPECT_EQ(text.find('b'), size_t{1} << 20);
  struct stat info = {};
  ASSERT_EQ(::stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0640u);
}

TEST_F(FileTest, AFileIsWrittenByOneAtATime) {
  fs::create_directory(path("folder"));
  fs::create_directory_symlink("folder", path("link"));
  const fs::path one = path("folder") / "x";
  AtomicFile first(one);
  first.write("first");
  for (const fs::path& name : {one, path("folder") / "." / "x", path("link") / "x"}) {
    EXPECT_TRUE(same_file(one, name)) << name;
    EXPECT_THROW(AtomicFile second(name), UsageError) << name;
    EXPECT_THROW(AtomicFolder folder(name), UsageError) << name;
  }
  EXPECT_FALSE(same_file(one, path("x")));
  AtomicFile other(path("x"));
  first.commit();
  EXPECT_EQ(read_text_file(one), "first");
  write_text_file(one, "second");
  EXPECT_EQ(read_text_file(one), "second");
}

TEST_F(FileTest, LinksAreWrittenThrough) {
  fs::create_directory(path("there"));
  fs::create_symlink("there/x", path("one"));
  fs::create_symlink(path("one"), path("two"));
  write_text_file(path("two"), "first");  // names nothing yet
  EXPECT_EQ(read_text_file(path("there") / "x"), "first");
  write_text_file(path("two"), "second");
  EXPECT_EQ(read_text_file(path("there") / "x"), "second");
  EXPECT_TRUE(fs::is_symlink(path("one")) && fs::is_symlink(path("two")));
  fs::create_symlink("loop", path("loop"));
  EXPECT_TRUE(thrown([&] { AtomicFile file(path("loop")); }).starts_with("73: "));
  EXPECT_TRUE(fs::is_symlink(path("loop")));

  fs::create_directory(path("empty"));
  fs::create_symlink("empty", path("folder"));
  {
    AtomicFolder out(path("folder"));
    write_text_file(out.working() / "y", "here");
    out.commit();
  }
  EXPECT_TRUE(fs::is_symlink(path("folder")));
  EXPECT_EQ(read_text_file(path("empty") / "y"), "here");
}

TEST_F(FileTest, AFolderAppearsWhole) {
  const fs::path out = path("out");
  {
    AtomicFolder folder(out / "");
    write_text_file(folder.working() / "x", "half");
    EXPECT_FALSE(fs::exists(out));
  }
  EXPECT_EQ(names(), "");
  const auto make = [&](bool replace, const char* text) {
    AtomicFolder folder(out, replace);
    write_text_file(folder.working() / "x", text);
    folder.commit();
  };
  make(false, "one");
  EXPECT_EQ(thrown([&] { make(false, "two"); }),
            cat("73: ", out.string(), ": exists and is not empty; remove it or choose another"));
  EXPECT_EQ(read_text_file(out / "x"), "one");
  {
    AtomicFolder late(path("race"));
    write_text_file(late.working() / "x", "late");
    fs::create_directory(path("race"));  // an empty folder is no loss, another's output is
    write_text_file(path("race") / "x", "first");
    EXPECT_TRUE(thrown([&] { late.commit(); }).starts_with("73: ")) << "it was replaced";
    EXPECT_EQ(read_text_file(path("race") / "x"), "first");
  }
  fs::remove_all(path("race"));
  make(true, "three");
  EXPECT_EQ(read_text_file(out / "x"), "three");
  EXPECT_EQ(names(), "out");
}

TEST_F(FileTest, FaultsNameThePathAskedFor) {
  write_text_file(path("file"), "");
  const std::string at = path("file").string();
  EXPECT_EQ(thrown([&] { AtomicFile file(path("none") / "x"); }),
            cat("73: ", (path("none") / "x").string(),
                ": cannot create: No such file or directory; create its folder first"));
  EXPECT_EQ(thrown([&] { AtomicFile file(folder()); }),
            cat("73: ", folder().string(), ": is a folder; name a file"));
  EXPECT_TRUE(thrown([&] {
                AtomicFile file(path("file") / "x");
              }).starts_with(cat("73: ", at, "/x: cannot create: Not a directory")));
  EXPECT_EQ(thrown([&] { AtomicFolder folder(path("file")); }),
            cat("73: ", at, ": exists and is no folder; choose another"));
  EXPECT_EQ(thrown([&] {
              AtomicFile file("/dev/full");
              file.write("x");
              file.commit();
            }),
            "74: /dev/full: cannot write: No space left on device; free some space and run again");
  EXPECT_EQ(thrown([&] { MappedFile file(path("none")); }),
            cat("66: ", path("none").string(),
                ": cannot read: No such file or directory; check the path"));
  EXPECT_EQ(thrown([&] { MappedFile file(folder()); }),
            cat("66: ", folder().string(), ": not a regular file; give the file itself"));
  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
  EXPECT_EQ(thrown([&] { MappedFile file(path("fifo")); }),
            cat("66: ", path("fifo").string(), ": not a regular file; give the file itself"));
  EXPECT_TRUE(thrown([&] { read_text_file("/proc/self/exe", 10); }).starts_with("65: "));
}

TEST_F(FileTest, PartsAreReadByPlace) {
  write_text_file(path("f"), "0123456789");
  const PlacedReader reader(path("f"));
  std::string part(4, ' ');
  reader.read(3, part.data(), 4);
  EXPECT_EQ(part, "3456");
  reader.read(10, part.data(), 0);
  fs::resize_file(path("f"), 5);
  const std::string shorter = thrown([&] { reader.read(3, part.data(), 4); });
  EXPECT_EQ(shorter,
            cat("74: ", path("f").string(), ": became shorter while it was read; fetch it again"));
  EXPECT_TRUE(thrown([&] { PlacedReader none(path("none")); }).starts_with("66: "));
}

TEST_F(FileTest, MissingIsNotTheSameAsHidden) {
  EXPECT_FALSE(input_exists(path("none")));
  write_text_file(path("file"), "");
  EXPECT_TRUE(input_exists(path("file")));
  EXPECT_FALSE(input_exists(path("file") / "below"));
  EXPECT_FALSE(is_input_folder(path("file")));
  EXPECT_TRUE(is_input_folder(folder()));
  fs::create_symlink("nowhere", path("link"));
  EXPECT_EQ(
      thrown([&] { input_exists(path("link")); }),
      cat("66: ", path("link").string(), ": a link to what does not exist; mend or remove it"));
}

// A limit lowered for as long as it lives.
class Limited {
 public:
  Limited(__rlimit_resource what, rlim_t limit) : what_(what) {
    EXPECT_EQ(::getrlimit(what_, &old_), 0);
    const struct rlimit low = {.rlim_cur = limit, .rlim_max = old_.rlim_max};
    EXPECT_EQ(::setrlimit(what_, &low), 0);
  }
  ~Limited() { ::setrlimit(what_, &old_); }

 private:
  __rlimit_resource what_;
  struct rlimit old_ = {};
};

TEST_F(FileTest, NoMoreOpenFilesIsSaidWithWhatHelps) {
  write_text_file(path("x"), "text");
  const std::string want = cat("66: ", path("x").string(),
                               ": cannot read: Too many open files; "
                               "allow more open files (ulimit -n)");
  const Limited none(RLIMIT_NOFILE, 0);
  EXPECT_EQ(thrown([&] { read_text_file(path("x")); }), want);
  EXPECT_EQ(thrown([&] { LineReader reader(path("x").string()); }), want);
  EXPECT_EQ(thrown([&] { PlacedReader reader(path("x")); }), want);
}

// Of the mapping at `data`, as the kernel counts; -1 where none begins there.
int64_t resident_bytes(const void* data) {
  std::ifstream maps("/proc/self/smaps");
  const uintptr_t wanted = reinterpret_cast<uintptr_t>(data);
  bool here = false;
  for (std::string line; std::getline(maps, line);) {
    uintptr_t begin = 0, end = 0;
    long kib = 0;
    if (std::sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " ", &begin, &end) == 2)
      here = begin == wanted;
    else if (here && std::sscanf(line.c_str(), "Rss: %ld kB", &kib) == 1)
      return int64_t{kib} << 10;
  }
  return -1;
}

TEST_F(FileTest, ForgottenBytesAreNoLongerResident) {
  write_text_file(path("x"), std::string(size_t{1} << 20, 'x'));
  const MappedFile file(path("x"));
  const auto read_all = [&] { return std::count(file.text().begin(), file.text().end(), 'x'); };
  EXPECT_EQ(read_all(), 1 << 20);
  EXPECT_EQ(resident_bytes(file.text().data()), 1 << 20);
  const int elsewhere = 0;
  file.forget(&elsewhere, sizeof elsewhere);
  file.forget(file.text().data() + file.text().size(), 1);
  EXPECT_EQ(resident_bytes(file.text().data()), 1 << 20);
  file.forget(file.text().data() + (1 << 19), 1 << 19);
  EXPECT_EQ(resident_bytes(file.text().data()), 1 << 19);
  EXPECT_EQ(read_all(), 1 << 20);
}

TEST_F(FileTest, NoMoreAddressSpaceIsMemory) {
  write_text_file(path("x"), "");
  fs::resize_file(path("x"), uintmax_t{1} << 32);
  const Limited none(RLIMIT_AS, size_t{1} << 20);
  EXPECT_EQ(thrown([&] { MappedFile file(path("x")); }),
            cat("71: ", path("x").string(),
                ": cannot map 4294967296 bytes: Cannot allocate memory; "
                "allow more address space (ulimit -v)"));
}

}  // namespace
}  // namespace nibble::test
