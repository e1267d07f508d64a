// SPDX-License-Identifier: Apache-2.0
// A tool that is told to end (SIGINT, SIGTERM, SIGHUP) takes its unfinished files with it, and then
// ends by that signal.
#pragma once

namespace nibble {

/// To be called once, before other threads start. Signals that are ignored stay so; whoever handles
/// one later (catch_stop_signals) has it to himself.
void clean_up_on_signals();

}  // namespace nibble
