// SPDX-License-Identifier: Apache-2.0
#include "cli/profile.h"

#include <algorithm>
#include <cstdio>

#include "base/error.h"
#include "io/json.h"

namespace nibble {
namespace {

constexpr double kGiga = 1e9;

std::string format(const char* pattern, double value) {
  char text[64];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}

std::string right(std::string text, size_t width) {
  return text.size() < width ? std::string(width - text.size(), ' ') + text : text;
}

// "123.4 GFLOP/s" and its share of the best; both empty where there is nothing to tell.
std::string rate(double amount, double seconds, double best) {
  if (amount <= 0 || seconds <= 0) return right("", 16);
  return right(format("%.1f", amount / seconds / kGiga), 10) +
         right(format("%.0f%%", 100.0 * amount / seconds / best), 6);
}

// One line of the table; `r.self` is what counts.
std::string row(const ProfileRow& r, double whole, double flops, double bytes) {
  return cat(right(format("%.1f%%", 100.0 * r.self / whole), 7), right(format("%.3f", r.self), 10),
             right(std::to_string(r.calls), 9), rate(r.flops, r.self, flops),
             rate(r.bytes, r.self, bytes), "  ", r.name);
}

}  // namespace

std::string profile_table(const Profile& profile, const MachineRates& best) {
  const double flops = std::max(best.f32_flops, best.bf16_flops);
  std::string out =
      cat("profile of ", format("%.2f", profile.seconds), " s; at best this machine does ",
          format("%.0f", best.f32_flops / kGiga), " GFLOP/s in f32, ",
          format("%.0f", best.bf16_flops / kGiga), " on bf16, reads ",
          format("%.1f", best.read_bytes / kGiga), " GB/s, copies ",
          format("%.1f", best.copy_bytes / kGiga),
          " GB/s\n  share   seconds    calls   GFLOP/s  best      GB/s  best  what\n");
  ProfileRow rest{.name = "outside all of these", .calls = 1, .self = profile.seconds};
  for (const ProfileRow& r : profile.rows) {
    rest.self -= r.self;
    out += row(r, profile.seconds, flops, best.copy_bytes) + "\n";
  }
  rest.self = std::max(0.0, rest.self);  // threads beside each other count each
  out += row(rest, profile.seconds, flops, best.copy_bytes);
  return out;
}

void write_trace(AtomicFile& file, const Profile& profile, const MachineRates& best,
                 const std::string& command) {
  file.write(cat("{\"displayTimeUnit\":\"ms\",\"otherData\":",
                 Json::object({{"command", command},
                               {"f32_flops", best.f32_flops},
                               {"bf16_flops", best.bf16_flops},
                               {"read_bytes_per_second", best.read_bytes},
                               {"copy_bytes_per_second", best.copy_bytes},
                               {"spans_not_kept", profile.dropped}})
                     .dump(),
                 ",\"traceEvents\":[\n"));
  bool first = true;
  for (const ProfileEvent& e : profile.events) {
    char text[320];
    const int length = std::snprintf(
        text, sizeof text,
        "%s{\"ph\":\"X\",\"pid\":1,\"tid\":%d,\"name\":\"%.64s\",\"ts\":%.3f,\"dur\":%.3f,"
        "\"args\":{\"gflop\":%.6g,\"megabytes\":%.6g}}",
        first ? "" : ",\n", e.thread, e.name, 1e-3 * static_cast<double>(e.start),
        1e-3 * static_cast<double>(e.duration), e.flops / kGiga, e.bytes / 1e6);
    file.write(std::string_view(text, static_cast<size_t>(length)));
    first = false;
  }
  file.write("\n]}\n");
  file.commit();
}

}  // namespace nibble
