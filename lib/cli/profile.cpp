// SPDX-License-Identifier: Apache-2.0
#include "cli/profile.h"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <sstream>

#include "base/error.h"
#include "base/profile_wait.h"
#include "cli/table.h"
#include "io/json.h"
#include "io/same_file.h"
#include "tensor/cuda.h"
#include "tensor/device.h"

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

// "123.4 GFLOP/s" and its share of the best; empty where there is nothing to tell or to compare.
std::string rate(double amount, double seconds, double best) {
  if (amount <= 0 || seconds <= 0) return right("", 17);
  const double rate = amount / seconds / kGiga;
  return right(format(rate < 10 ? "%.3f" : "%.1f", rate), 10) + " " +
         right(best > 0 ? format("%.0f%%", 100.0 * rate * kGiga / best) : "", 6);
}

// One line of the table; `r.self` is what counts.
std::string row(const ProfileRow& r, double whole, const MachineRates& best) {
  return cat(right(format("%.1f%%", 100.0 * r.self / whole), 7), right(format("%.3f", r.self), 10),
             right(std::to_string(r.calls), 9),
             rate(r.flops, r.self, std::max(best.f32_flops, best.bf16_flops)),
             rate(r.bytes, r.self, std::max(best.read_bytes, best.copy_bytes)), "  ", r.name);
}

std::string yardstick(const MachineRates& best) {
  if (best.f32_flops <= 0) return "what the device does at best is not measured";
  return cat("at best this machine does ", format("%.0f", best.f32_flops / kGiga),
             " GFLOP/s in f32, ", format("%.0f", best.bf16_flops / kGiga), " on bf16, reads ",
             format("%.1f", best.read_bytes / kGiga), " GB/s, copies ",
             format("%.1f", best.copy_bytes / kGiga), " GB/s");
}

// The file is written last: whatever else has its name, input or output, would be lost.
void refuse_other_uses(const OptionTable& table, const std::string& file) {
  const auto refuse = [&](const std::string& word) {
    if (!word.empty() && word != "-" && same_file(file, word))
      throw UsageError(cat(file, ": named twice; give --profile a file of its own"));
  };
  for (const auto& entry : table.impl().entries) {
    if (entry->name == "profile" || entry->is_flag || !entry->choices.empty()) continue;
    for (const std::string& word : entry->words) {
      refuse(word);
      if (!entry->is_list) continue;
      std::istringstream parts(word);
      for (std::string part; std::getline(parts, part, ',');) refuse(part);
    }
  }
}

// What the device was given counts for the span that gave it. Whatever has failed there is told to
// the next who waits for it.
void wait_for_device() {
  const Stream stream = current_stream();
  if (!stream.device.on_cuda()) return;
  try {
    cuda::synchronize(stream);
  } catch (const Error&) {
    return;
  }
}

void tell(AtomicFile& trace, const ToolContext& context) {
  const Profile profile = profile_stop();
  // This machine's rates say nothing of a device.
  const bool on_device = parse_device(context.device).on_cuda();
  const MachineRates best = on_device ? MachineRates{} : measure_machine();
  write_trace(trace, profile, best, context.command_line);
  context.say(profile_table(profile, best));
}

}  // namespace

int run_profiled(const std::string& file, ToolContext& context,
                 const std::function<int(ToolContext&)>& run) {
  refuse_other_uses(*context.table, file);
  AtomicFile trace(file);
  at_end_of_spans(wait_for_device);
  profile_start();
  int code = 0;
  try {
    code = run(context);
  } catch (const UsageError&) {
    throw;  // nothing was done
  } catch (...) {
    try {
      tell(trace, context);
    } catch (const std::exception& error) {
      context.warn(cat("no profile was kept: ", error.what()));
    }
    throw;
  }
  tell(trace, context);
  return code;
}

std::string profile_table(const Profile& profile, const MachineRates& best) {
  std::string out = cat("profile of ", format("%.2f", profile.seconds), " s; ", yardstick(best),
                        "\n  share   seconds    calls   GFLOP/s   best      GB/s   best  what\n");
  ProfileRow rest{.name = "outside all of these", .calls = 1, .self = profile.seconds};
  for (const ProfileRow& r : profile.rows) {
    rest.self -= r.self;
    out += row(r, profile.seconds, best) + "\n";
  }
  rest.self = std::max(0.0, rest.self);  // threads beside each other count each
  out += row(rest, profile.seconds, best);
  if (profile.dropped > 0)
    out += cat("\n  the trace holds the first ", profile.events.size(), " spans; ", profile.dropped,
               " more are in this table alone");
  return out;
}

void write_trace(AtomicFile& file, const Profile& profile, const MachineRates& best,
                 const std::string& command) {
  Json about = Json::object(
      {{"command", command}, {"spans_not_kept", static_cast<int64_t>(profile.dropped)}});
  if (best.f32_flops > 0) {
    about.set("f32_flops", best.f32_flops);
    about.set("bf16_flops", best.bf16_flops);
    about.set("read_bytes_per_second", best.read_bytes);
    about.set("copy_bytes_per_second", best.copy_bytes);
  }
  file.write(
      cat("{\"displayTimeUnit\":\"ms\",\"otherData\":", about.dump(), ",\"traceEvents\":[\n"));
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
