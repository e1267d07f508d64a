// SPDX-License-Identifier: Apache-2.0
// The metrics of a run, as nibble-train writes them: JSON lines, first what ran
//   {"step": 0, "run": {"version": "0.1.0", "options": {"rank": "16", ...}, "plan": {...}, ...}}
// (older files have no such line), then an object a step or evaluation,
//   {"step": 7, "loss": 2.5, "learning_rate": 0.0001, ...} and {"step": 8, "validation_loss": 2.4}.
// Every other number in a record is a metric too.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/json.h"
#include "plot/figure.h"

namespace nibble {

/// What is known of a metric by its name.
struct Metric {
  enum class Summary : uint8_t { kLast, kLeast, kMost, kMean };
  std::string name, title;
  Axis axis;
  Summary summary = Summary::kLast;  // the one number that stands for the run
  bool low_is_good = true;
};
/// Those that nibble-train writes and nibble-plot draws unasked, in order.
const std::vector<Metric>& known_metrics();
Metric metric_of(const std::string& name);

/// A metric over the steps; NaN where a record says null.
struct Curve {
  std::vector<double> steps, values;
};

struct RunMetrics {
  std::string path, name;
  Json run;  // what the first line tells; null where there is none
  std::vector<std::pair<std::string, Curve>> curves;
  int64_t last_step = 0;

  const Curve* find(std::string_view metric) const;
  /// An option of the run, or nothing where it is not recorded.
  std::string option(std::string_view wanted) const;
  /// Whose bytes were planned: the device's where one computed, else the process's.
  std::string planned_metric() const;
  /// Bytes that were planned, 0 where it is not recorded.
  uint64_t planned_bytes() const;
  /// Whether the last of its steps is there.
  bool finished() const;
};

/// The metric's one number for the run (a loss at the end is a mean over its last 1/25); NaN where
/// it has none.
double summary_of(const RunMetrics& run, const Metric& metric);

/// Takes records line by line. A step that comes again (a run that went on from an earlier
/// checkpoint) replaces what came after it.
class MetricsParser {
 public:
  explicit MetricsParser(RunMetrics& into) : into_(into) {}
  /// Throws DataError "place: fault; remedy".
  void add(std::string_view line, const std::string& place);

 private:
  Curve& curve(const std::string& name, const std::string& place);
  void cut_from(double step);
  RunMetrics& into_;
};

struct ReadOptions {
  int64_t skip_bad = 0;                               // records that may be bad
  std::function<void(const std::string&)> warn = {};  // told of each, and of a line cut short
};

/// Reads a metrics file (.zst too), a run's folder, or "-". A last line that was cut short by a
/// kill, or is still being written, is left out with a warning. Throws DataError where there is no
/// step.
RunMetrics read_metrics(const std::string& path, const ReadOptions& options);

/// The metrics file that a path names: itself, or metrics.jsonl in a run's folder.
std::string metrics_file(const std::string& path);

/// Files, with patterns (*, ?, [...]) that the shell left alone expanded, in order. Throws
/// NoInputError for a pattern that nothing matches.
std::vector<std::string> expand_patterns(const std::vector<std::string>& paths);

/// Names that tell the runs apart: what differs in their paths. A single run is named by its
/// folder, or by its file.
void name_runs(std::vector<RunMetrics>& runs);

}  // namespace nibble
