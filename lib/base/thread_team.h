// SPDX-License-Identifier: Apache-2.0
// The threads themselves, before there is work for them: where they cannot be had, the OpenMP
// runtime would end the process, with words and an exit code of its own.
#pragma once

namespace nibble {

/// Starts all threads() of parallel code. Throws MemoryError where a limit (ulimit -u, a control
/// group's, on address space) allows fewer. Call it while no other thread comes or goes.
void start_team();

}  // namespace nibble
