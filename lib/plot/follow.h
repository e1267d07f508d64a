// SPDX-License-Identifier: Apache-2.0
// Metrics files of runs that are still going on.
#pragma once

#include <string>
#include <vector>

#include "plot/run_metrics.h"
#include "plot/tail.h"

namespace nibble {

class FollowedRuns {
 public:
  /// Paths as read_metrics takes them, and ones that are not there yet; not "-".
  FollowedRuns(const std::vector<std::string>& paths, ReadOptions options);

  /// Takes what has come since; whether anything has. Throws as the parser does.
  bool look();
  /// Those that have a step.
  std::vector<RunMetrics> runs() const;
  /// Whether all that are there have come to the last of their steps.
  bool finished() const;

 private:
  struct One {
    Tail tail;
    RunMetrics run;
    int64_t lines = 0, bad = 0;
  };
  void add(One& one, const std::string& line);
  std::vector<One> all_;
  ReadOptions options_;
};

}  // namespace nibble
