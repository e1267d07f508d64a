// SPDX-License-Identifier: Apache-2.0
#include "base/thread_team.h"

#include <omp.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <latch>
#include <system_error>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/threads.h"

namespace nibble {
namespace {

// The links of the folder of a process's threads are as many as they are, and two.
size_t living_threads() {
  struct stat info = {};
  return ::stat("/proc/self/task", &info) == 0 ? info.st_nlink : 0;
}

// The error's number, or 0. All are held until the last is there: limits are on those that live.
int try_threads(int count) {
  std::vector<std::thread> tried;
  std::latch all_there(1);
  int error = 0;
  try {
    tried.reserve(static_cast<size_t>(count));
    for (int i = 0; i < count; ++i) tried.emplace_back([&] { all_there.wait(); });
  } catch (const std::system_error& refused) {
    error = refused.code().value();
  }
  all_there.count_down();
  for (std::thread& thread : tried) thread.join();
  return error;
}

}  // namespace

void start_team() {
  const int count = std::min(threads(), omp_get_thread_limit());
  if (count <= 1) return;
  const size_t before = living_threads();
  if (const int error = try_threads(count - 1))
    throw MemoryError(cat("cannot start ", count, " threads: ", errno_text(error),
                          "; ask for fewer (--threads=N), or allow more (ulimit -u, -v)"));
  // One that was joined counts until the system has let it go.
  for (int i = 0; i < 1000 && living_threads() > before; ++i)
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  parallel_for(count, 1, [](int64_t, int64_t) {});
}

}  // namespace nibble
