// SPDX-License-Identifier: Apache-2.0
#include "cli/clean_up.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <iterator>
#include <system_error>
#include <thread>

#include "io/unfinished.h"

namespace nibble {
namespace {

// Those that end no process by default, or cannot be caught.
constexpr int kLeftAlone[] = {SIGKILL, SIGSTOP, SIGCHLD, SIGCONT, SIGTSTP,
                              SIGTTIN, SIGTTOU, SIGURG,  SIGWINCH};
// The thread that has one may go no further: it would do the same again.
constexpr int kFaults[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};

template <size_t kCount>
bool among(const int (&signals)[kCount], int signal) {
  return std::find(std::begin(signals), std::end(signals), signal) != std::end(signals);
}

int wake[2] = {-1, -1};
std::atomic<bool> removed{false}, ending{false};
static_assert(std::atomic<bool>::is_always_lock_free);

// Only what may be called from a handler: the work is the thread's below.
void on_signal(int signal) {
  const int error = errno;
  const auto byte = static_cast<char>(signal);
  ending.store(true);
  if (::write(wake[1], &byte, 1) != 1) ::_exit(128 + signal);
  errno = error;
}

// Waits, so that a core dump shows the fault where it was; not for ever, as the fault may have come
// while something that the work needs was locked.
void on_fault(int signal) {
  const auto byte = static_cast<char>(signal);
  const struct timespec pause = {.tv_sec = 0, .tv_nsec = 10'000'000};
  if (::write(wake[1], &byte, 1) == 1)
    for (int i = 0; i < 1000 && !removed.load(); ++i) ::nanosleep(&pause, nullptr);
  ::raise(signal);  // taken by default, once this has returned
}

void wait_for_signal() {
  for (;;) {
    char byte = 0;
    while (::read(wake[0], &byte, 1) != 1)
      if (errno != EINTR) return;
    unfinished().remove_all();
    removed.store(true);
    if (among(kFaults, byte)) continue;
    std::signal(byte, SIG_DFL);
    ::kill(::getpid(), byte);
  }
}

}  // namespace

void await_end_by_signal() {
  while (ending.load()) ::pause();
}

void clean_up_on_signals() {
  if (::pipe2(wake, O_CLOEXEC) != 0) return;
  // The thread takes no signal itself: it would wait for its own work.
  sigset_t all, before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  bool watched = true;
  try {
    std::thread(wait_for_signal).detach();
  } catch (const std::system_error&) {
    watched = false;  // no thread to spare: signals end the process as they do any other
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (!watched) return;
  for (int signal = 1; signal <= SIGRTMAX; ++signal) {
    struct sigaction old = {}, action = {};
    if (among(kLeftAlone, signal) || ::sigaction(signal, nullptr, &old) != 0 ||
        old.sa_handler != SIG_DFL)
      continue;
    const bool fault = among(kFaults, signal);
    action.sa_handler = fault ? on_fault : on_signal;
    action.sa_flags = fault ? static_cast<int>(SA_RESETHAND) : SA_RESTART;
    ::sigaction(signal, &action, nullptr);
  }
}

}  // namespace nibble
