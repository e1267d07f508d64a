// SPDX-License-Identifier: Apache-2.0
// What a process that is ended by a signal has to take with it.
#pragma once

namespace nibble {

/// Removes what AtomicFiles and AtomicFolders (io/file.h) have not finished; from any thread.
void remove_unfinished();

}  // namespace nibble
