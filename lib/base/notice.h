// SPDX-License-Identifier: Apache-2.0
// What a person should know that no result tells, from wherever it is noticed: work that goes on by
// another way than asked for. Each text is said once a process, to whoever listens (run_tool).
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace nibble {

void notice(const std::string& text);

/// Who listens from now on; null: nobody.
void on_notice(std::function<void(std::string_view text)> listener);

}  // namespace nibble
