// SPDX-License-Identifier: Apache-2.0
#include "plot/follow.h"

#include <algorithm>

#include "base/error.h"

namespace nibble {

FollowedRuns::FollowedRuns(const std::vector<std::string>& paths, ReadOptions options)
    : options_(std::move(options)) {
  for (const std::string& path : paths) {
    if (path == "-") throw UsageError("--follow: standard input cannot be followed; name the file");
    all_.push_back(One{.tail = Tail(path), .run = {}});
    all_.back().run.path = path;
  }
}

void FollowedRuns::add(One& one, const std::string& line) {
  ++one.lines;
  if (line.find_first_not_of(" \t\r") == std::string::npos) return;
  try {
    MetricsParser(one.run).add(line, cat(one.run.path, ":", one.lines));
  } catch (const DataError& fault) {
    if (++one.bad > options_.skip_bad) throw;
    if (options_.warn) options_.warn(cat(fault.what(), " (left out)"));
  }
}

bool FollowedRuns::look() {
  bool any = false;
  for (One& one : all_) {
    // A run's folder may come after this began, and its metrics after it.
    std::error_code error;
    if (one.lines == 0 && fs::is_directory(one.run.path, error)) {
      one.run.path = (fs::path(one.run.path) / "metrics.jsonl").string();
      one.tail = Tail(one.run.path);
    }
    const Tail::News news = one.tail.look();
    if (news.anew) {
      const std::string path = one.run.path;
      one.run = RunMetrics{};
      one.run.path = path;
      one.lines = one.bad = 0;
    }
    for (const std::string& line : news.lines) add(one, line);
    any = any || news.anew || !news.lines.empty();
  }
  return any;
}

std::vector<RunMetrics> FollowedRuns::runs() const {
  std::vector<RunMetrics> out;
  for (const One& one : all_)
    if (one.run.last_step > 0) out.push_back(one.run);
  name_runs(out);
  return out;
}

bool FollowedRuns::finished() const {
  return std::all_of(all_.begin(), all_.end(), [](const One& one) { return one.run.finished(); });
}

}  // namespace nibble
