// SPDX-License-Identifier: Apache-2.0
// Outputs that would cost a file: one of the inputs, or another output.
#pragma once

#include <initializer_list>
#include <span>
#include <string>

namespace nibble {

/// Throws UsageError where an output is one of the inputs or another output; empty names are none.
void refuse_lost_files(std::initializer_list<std::string> outputs,
                       std::span<const std::string> inputs);

}  // namespace nibble
