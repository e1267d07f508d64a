// SPDX-License-Identifier: Apache-2.0
#include "report.h"

#include <unistd.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "emulate.h"
#include "streams.h"

namespace nibble::emulate {
namespace {

struct Faults {
  std::mutex mutex;
  std::vector<std::string> lines;
  std::atomic<cudaError_t> sticky = cudaSuccess;

  // A fault that no test took must not end in success.
  ~Faults() {
    if (lines.empty()) return;
    fprintf(stderr, "emulate: %zu faults were reported\n", lines.size());
    fflush(nullptr);
    _exit(70);
  }
};

Faults& faults() {
  static Faults all;
  return all;
}

uint64_t choose_seed() {
  uint64_t value = 0;
  if (const char* text = getenv("NIBBLE_EMULATE_SEED")) {
    const auto [end, fault] = std::from_chars(text, text + strlen(text), value);
    if (fault != std::errc() || *end != 0) {
      fprintf(stderr, "emulate: NIBBLE_EMULATE_SEED=%s is no number\n", text);
      _exit(64);
    }
    return value;
  }
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  return Random(static_cast<uint64_t>(now) ^ static_cast<uint64_t>(getpid()) << 40).next() >> 40;
}

}  // namespace

uint64_t seed() {
  static const uint64_t chosen = choose_seed();
  return chosen;
}

namespace {
bool says(const char* name, const char* value) {
  const char* text = getenv(name);
  return text != nullptr && strcmp(text, value) == 0;
}
}  // namespace

const bool kBodiesSkipped = says("NIBBLE_EMULATE_BODIES", "skip");
const bool kChecks = !says("NIBBLE_EMULATE_CHECKS", "off") && !kBodiesSkipped &&
                     getenv("NIBBLE_EMULATE_COUNT") == nullptr;

void report(const std::string& line, cudaError_t status) {
  Faults& all = faults();
  const std::lock_guard lock(all.mutex);
  all.lines.push_back(line + "; seed " + std::to_string(seed()));
  fprintf(stderr, "emulate: %s\n", all.lines.back().c_str());
  break_device(status);
}

void break_device(cudaError_t status) {
  cudaError_t none = cudaSuccess;
  faults().sticky.compare_exchange_strong(none, status);
}

bool faulty(const char* what) {
  const char* text = getenv("NIBBLE_EMULATE_FAULT");
  return text != nullptr && strcmp(text, what) == 0;
}

cudaError_t sticky_status() {
  return faults().sticky;
}

std::vector<std::string> take_faults() {
  Faults& all = faults();
  // What was queued before a fault is lost with it.
  if (all.sticky != cudaSuccess) drop_queues();
  const std::lock_guard lock(all.mutex);
  all.sticky = cudaSuccess;
  return std::exchange(all.lines, {});
}

}  // namespace nibble::emulate
