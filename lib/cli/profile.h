// SPDX-License-Identifier: Apache-2.0
// --profile=FILE: a trace of every op and phase that Perfetto (ui.perfetto.dev) and
// chrome://tracing open, and on standard error a table of them against what the machine can do at
// best.
#pragma once

#include <string>

#include "base/profile.h"
#include "io/file.h"
#include "kernels/machine_rates.h"

namespace nibble {

/// The table, by time. GFLOP/s and GB/s are of the time of the op's own.
std::string profile_table(const Profile& profile, const MachineRates& best);

/// Chrome's trace event format, as JSON.
void write_trace(AtomicFile& file, const Profile& profile, const MachineRates& best,
                 const std::string& command);

}  // namespace nibble
