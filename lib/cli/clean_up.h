// SPDX-License-Identifier: Apache-2.0
// A tool that is ended by a signal, whichever can be caught, takes its unfinished files with it,
// and then ends by that signal, with a core dump where that is its way.
#pragma once

namespace nibble {

/// To be called once, before other threads start. Signals that are ignored or handled stay so;
/// whoever handles one later (catch_stop_signals) has it to himself.
void clean_up_on_signals();

/// Returns at once, unless a signal is about to end the process: then it does not return. What
/// fails in the meantime may fail because unfinished files have gone, which is nothing to be told.
void await_end_by_signal();

}  // namespace nibble
