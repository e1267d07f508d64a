// SPDX-License-Identifier: Apache-2.0
// Polite stopping: SIGTERM and SIGUSR1 (what batch systems send), SIGINT and, unless it is ignored,
// SIGHUP (a lost terminal) set a flag that long work looks at between steps; a second SIGINT ends
// the process at once.
#pragma once

namespace nibble {

void catch_stop_signals();

/// The signal that asked to stop, or 0.
int stop_signal();

}  // namespace nibble
