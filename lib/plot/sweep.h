// SPDX-License-Identifier: Apache-2.0
// Many runs by the options in which they differ: a number for each run, in a table, along one
// option or as a heat map over two (a map for each value of a third). Runs that agree in all of
// them (other seeds) are averaged.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "plot/run_metrics.h"

namespace nibble {

/// Options that the runs record and that differ among them, rank, targets and learning rate first;
/// without those that follow from the others (alpha where it goes with the rank) or change nothing
/// (where to write, the seed).
std::vector<std::string> differing_options(std::span<const RunMetrics> runs);

struct SweepOptions {
  std::vector<std::string> options;  // one to three; empty: those that differ
  std::string metric;                // empty: validation_loss where all runs have it, else loss
  std::string title;
};

/// Throws UsageError where the options do not differ, are too many or are not recorded, DataError
/// where no run has the metric.
Figure draw_sweep(std::span<const RunMetrics> runs, const SweepOptions& options);

/// The metric a sweep is judged by, when none is named.
Metric sweep_metric(std::span<const RunMetrics> runs, const std::string& name);

/// An option's value as it is read: 0.002 rather than 2e-03.
std::string shown_value(const std::string& value);

/// A row a run, best first: what differs, how far it came, its numbers.
struct RunsTable {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
};
RunsTable table_of(std::span<const RunMetrics> runs, const std::string& metric);
/// For people, in columns; and as a JSON array of objects, numbers in full.
std::string table_text(const RunsTable& table);
Json table_json(std::span<const RunMetrics> runs, const std::string& metric);

}  // namespace nibble
