// SPDX-License-Identifier: Apache-2.0
#include "cli/clean_up.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <system_error>
#include <thread>

#include "io/unfinished.h"

namespace nibble {
namespace {

int wake[2] = {-1, -1};

// Only what may be called from a handler: the work is the thread's below.
void on_signal(int signal) {
  const int error = errno;
  const auto byte = static_cast<char>(signal);
  if (::write(wake[1], &byte, 1) != 1) ::_exit(128 + signal);
  errno = error;
}

void wait_for_signal() {
  char byte = 0;
  while (::read(wake[0], &byte, 1) != 1)
    if (errno != EINTR) return;
  remove_unfinished();
  std::signal(byte, SIG_DFL);
  ::kill(::getpid(), byte);
}

}  // namespace

void clean_up_on_signals() {
  if (::pipe2(wake, O_CLOEXEC) != 0) return;
  try {
    std::thread(wait_for_signal).detach();
  } catch (const std::system_error&) {
    return;  // no thread to spare: signals end the process as they do any other
  }
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction old = {}, action = {};
    if (::sigaction(signal, nullptr, &old) != 0 || old.sa_handler == SIG_IGN) continue;
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    ::sigaction(signal, &action, nullptr);
  }
}

}  // namespace nibble
