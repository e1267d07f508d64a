// SPDX-License-Identifier: Apache-2.0
#include "base/signals.h"

#include <atomic>
#include <csignal>
#include <initializer_list>

namespace nibble {
namespace {

std::atomic<int> requested{0};
static_assert(std::atomic<int>::is_always_lock_free);

void request(int signal) {
  if (signal == SIGINT && requested.load() == SIGINT) {
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);
  }
  requested.store(signal);
}

}  // namespace

void catch_stop_signals() {
  struct sigaction action = {};
  action.sa_handler = request;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const int signal : {SIGTERM, SIGUSR1, SIGINT}) sigaction(signal, &action, nullptr);
  // A terminal that is gone is no reason to stop under nohup.
  struct sigaction old = {};
  if (sigaction(SIGHUP, nullptr, &old) == 0 && old.sa_handler != SIG_IGN)
    sigaction(SIGHUP, &action, nullptr);
}

int stop_signal() {
  return requested.load();
}

}  // namespace nibble
