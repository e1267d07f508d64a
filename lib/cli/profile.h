// SPDX-License-Identifier: Apache-2.0
// --profile=FILE: a trace of every op and phase that Perfetto (ui.perfetto.dev) and
// chrome://tracing open, and on standard error a table of them against what the machine can do at
// best.
#pragma once

#include <functional>
#include <string>

#include "base/profile.h"
#include "cli/tool.h"
#include "io/file.h"
#include "kernels/machine_rates.h"

namespace nibble {

/// A tool's work, recorded for --profile=FILE. What the work did before it failed or was stopped is
/// told as well. Throws UsageError before the work where another option names the file too.
int run_profiled(const std::string& file, ToolContext& context,
                 const std::function<int(ToolContext&)>& run);

/// The table, by time. GFLOP/s and GB/s are of the time of the op's own; their shares of the best,
/// of bytes the higher of reading and copying, are left out where the rates are 0: unknown.
std::string profile_table(const Profile& profile, const MachineRates& best);

/// Chrome's trace event format, as JSON.
void write_trace(AtomicFile& file, const Profile& profile, const MachineRates& best,
                 const std::string& command);

}  // namespace nibble
