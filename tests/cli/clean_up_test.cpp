// SPDX-License-Identifier: Apache-2.0
// Whatever signal ends a process, its unfinished files go first, and it ends by that signal.
#include "cli/clean_up.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <functional>
#include <set>

#include "io/file.h"
#include "support/folder_test.h"

namespace nibble::test {
namespace {

class CleanUpTest : public FolderTest {
 protected:
  /// How a process ends that has a file and a folder half written and then does `last`.
  int ended(const std::function<void()>& last, int ignored = 0) const {
    const pid_t child = ::fork();
    if (child == 0) {
      const struct rlimit no_core = {};
      ::setrlimit(RLIMIT_CORE, &no_core);
      if (ignored != 0) std::signal(ignored, SIG_IGN);
      clean_up_on_signals();
      AtomicFile file(path("file"));
      file.write("half");
      const AtomicFolder made(path("folder"));
      AtomicFile inside(made.working() / "weights");
      inside.write("half");
      last();
      ::usleep(ignored != 0 ? 50'000 : 20'000'000);
      ::_exit(0);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    return status;
  }
  std::string left() const {
    std::string names;
    for (const auto& entry : fs::directory_iterator(folder())) names += entry.path().filename();
    return names;
  }
  static bool taken_by_a_sanitizer(int signal) {
    struct sigaction old = {};
    return ::sigaction(signal, nullptr, &old) == 0 && old.sa_handler != SIG_DFL;
  }
};

TEST_F(CleanUpTest, EverySignalThatEndsAProcess) {
  int tried = 0;
  for (int signal = 1; signal <= SIGRTMAX; ++signal) {
    const std::set<int> no_end = {SIGSTOP, SIGCHLD, SIGCONT, SIGTSTP,
                                  SIGTTIN, SIGTTOU, SIGURG,  SIGWINCH};
    if (signal == SIGKILL || no_end.contains(signal)) continue;
    if (signal > SIGSYS && signal < SIGRTMIN) continue;  // the C library's own
    if (taken_by_a_sanitizer(signal)) continue;
    SCOPED_TRACE(signal);
    const int status = ended([&] { ::kill(::getpid(), signal); });
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == signal) << status;
    EXPECT_EQ(left(), "");
    ++tried;
  }
  EXPECT_GE(tried, 50);
}

TEST_F(CleanUpTest, IgnoredOnesStayIgnored) {
  for (const int signal : {SIGHUP, SIGUSR2, SIGPIPE, SIGXFSZ}) {
    SCOPED_TRACE(signal);
    const int status = ended([&] { ::kill(::getpid(), signal); }, signal);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    EXPECT_NE(left(), "");
    for (const auto& entry : fs::directory_iterator(folder())) fs::remove_all(entry.path());
  }
}

TEST_F(CleanUpTest, FaultsOfTheProcessItself) {
  const auto cut_short = [&] {  // by somebody else, while it is read
    write_text_file(path("model"), std::string(10'000, 'x'));
    const MappedFile mapped(path("model"));
    fs::resize_file(path("model"), 0);
    fs::remove(path("model"));
    ::_exit(static_cast<int>(mapped.bytes()[5'000]));
  };
  const auto nowhere = [] {
    void* page = ::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *static_cast<volatile char*>(page) = 1;
  };
  const std::vector<std::pair<int, std::function<void()>>> faults = {
      {SIGBUS, cut_short}, {SIGSEGV, nowhere}, {SIGABRT, [] { std::abort(); }}};
  for (const auto& [signal, fault] : faults) {
    if (taken_by_a_sanitizer(signal)) continue;
    SCOPED_TRACE(signal);
    const int status = ended(fault);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == signal) << status;
    EXPECT_EQ(left(), "");
  }
}

}  // namespace
}  // namespace nibble::test
