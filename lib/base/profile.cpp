// SPDX-License-Identifier: Apache-2.0
#include "base/profile.h"

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <string_view>

#include "base/profile_wait.h"

namespace nibble {

std::atomic<bool> detail::profiling = false;

namespace {

struct Recorder {
  std::mutex mutex;
  std::chrono::steady_clock::time_point start;
  std::map<std::string_view, ProfileRow> rows;
  std::vector<ProfileEvent> events;
  int64_t dropped = 0;
};

Recorder& recorder() {
  static Recorder it;
  return it;
}

thread_local Span* innermost = nullptr;

std::atomic<void (*)()> wait_at_end = nullptr;

int thread_number() {
  static std::atomic<int> next = 1;
  thread_local const int number = next++;
  return number;
}

int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() -
                                                              recorder().start)
      .count();
}

double seconds(int64_t nanoseconds) {
  return 1e-9 * static_cast<double>(nanoseconds);
}

}  // namespace

void Span::begin(const char* name) {
  // Work that is already shared out has its span outside: sums would be of CPU time.
  if (omp_in_parallel()) return;
  name_ = name;
  outer_ = innermost;
  innermost = this;
  start_ = now();
}

void Span::end() {
  if (const auto wait = wait_at_end.load()) wait();
  const int64_t duration = now() - start_;
  innermost = outer_;
  if (outer_) outer_->inner_ += duration;
  if (!profiling()) return;
  Recorder& r = recorder();
  const std::lock_guard lock(r.mutex);
  ProfileRow& row = r.rows[name_];
  ++row.calls;
  row.seconds += seconds(duration);
  row.self += seconds(duration - inner_);
  row.flops += flops_;
  row.bytes += bytes_;
  if (r.events.size() < r.events.capacity())
    r.events.push_back({name_, thread_number(), start_, duration, flops_, bytes_});
  else
    ++r.dropped;
}

void at_end_of_spans(void (*wait)()) {
  wait_at_end = wait;
}

void profile_start(size_t events) {
  Recorder& r = recorder();
  const std::lock_guard lock(r.mutex);
  r.rows.clear();
  r.events.clear();
  r.events.reserve(events);
  r.dropped = 0;
  r.start = std::chrono::steady_clock::now();
  detail::profiling = true;
}

Profile profile_stop() {
  detail::profiling = false;
  Recorder& r = recorder();
  const std::lock_guard lock(r.mutex);
  Profile out{.seconds = seconds(now()), .events = std::move(r.events), .dropped = r.dropped};
  r.events = {};
  for (auto& [name, row] : r.rows) {
    row.name = name;
    out.rows.push_back(row);
  }
  std::stable_sort(out.rows.begin(), out.rows.end(),
                   [](const ProfileRow& a, const ProfileRow& b) { return a.self > b.self; });
  return out;
}

}  // namespace nibble
