// SPDX-License-Identifier: Apache-2.0
// Where the time goes. A Span is a stretch of work with a name: an op, or a phase that holds ops.
// While nothing is profiled a span costs one test of a flag; while it is, spans are summed by name
// and kept one by one for a trace, in memory set aside at the start.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace nibble {

namespace detail {
extern std::atomic<bool> profiling;
}
inline bool profiling() {
  return detail::profiling.load(std::memory_order_relaxed);
}

class Span {
 public:
  /// `name` must outlive the profile: a literal.
  explicit Span(const char* name) {
    if (profiling()) [[unlikely]]
      begin(name);
  }
  ~Span() {
    if (name_) [[unlikely]]
      end();
  }
  Span(const Span&) = delete;
  Span& operator=(const Span&) = delete;

  bool recording() const { return name_ != nullptr; }
  /// Floating-point operations, and bytes read and written, each operand once.
  void add(double flops, double bytes) {
    flops_ += flops;
    bytes_ += bytes;
  }
  void set(double flops, double bytes) {
    flops_ = flops;
    bytes_ = bytes;
  }

 private:
  void begin(const char* name);
  void end();

  const char* name_ = nullptr;
  Span* outer_ = nullptr;  // of this thread
  int64_t start_ = 0, inner_ = 0;
  double flops_ = 0.0, bytes_ = 0.0;
};

/// One name's sum. `self` leaves out the spans inside, so that all rows' add up to the whole.
struct ProfileRow {
  std::string name;
  int64_t calls = 0;
  double seconds = 0.0, self = 0.0;
  double flops = 0.0, bytes = 0.0;
};

/// One span, in nanoseconds since profile_start().
struct ProfileEvent {
  const char* name = nullptr;
  int thread = 0;
  int64_t start = 0, duration = 0;
  double flops = 0.0, bytes = 0.0;
};

/// From here on spans are recorded; `events` of them are kept for a trace, later ones only summed.
void profile_start(size_t events = size_t{1} << 18);

struct Profile {
  double seconds = 0.0;          // since profile_start()
  std::vector<ProfileRow> rows;  // by time of their own, longest first
  std::vector<ProfileEvent> events;
  int64_t dropped = 0;  // spans not kept as events
};
/// Stops recording and hands out what was recorded.
Profile profile_stop();

}  // namespace nibble
