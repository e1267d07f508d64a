// SPDX-License-Identifier: Apache-2.0
// What a profile has to wait for: a device works while the host goes on.
#pragma once

namespace nibble {

/// `wait` is called where a recorded span ends, before its time is taken, so that the work that it
/// has put on a device counts as its own. nullptr: there is nothing to wait for. May not throw.
void at_end_of_spans(void (*wait)());

}  // namespace nibble
