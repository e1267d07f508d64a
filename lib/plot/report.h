// SPDX-License-Identifier: Apache-2.0
// A page about one run or several, for people who were not there: one HTML file without scripts
// that shows options, what was planned and what was measured, the curves, some completions, and the
// versions of all that took part. Whatever comes from files is escaped.
#pragma once

#include <string>
#include <vector>

#include "plot/curves.h"

namespace nibble {

struct ReportOptions {
  CurveOptions curves;
  std::string metric;       // that runs are compared by
  std::string completions;  // a JSONL file of completions; empty: none
  int64_t samples = 8;      // of them
  std::string version;      // of who writes the report
};

std::string html_report(const std::vector<RunMetrics>& runs, const ReportOptions& options);

/// Bytes by item as planned, and in all as measured.
BarPanel memory_bars(const RunMetrics& run);

}  // namespace nibble
