// SPDX-License-Identifier: Apache-2.0
// Options from a file (--config=FILE.toml): what the command line leaves out, by their long names.
#pragma once

#include <string>

#include "cli/table.h"

namespace nibble {

/// Sets what has not been given. A list may be an array. Throws UsageError, which names the file
/// and the line, where it is no TOML, names no option, or a value is not what its option takes;
/// NoInputError where it cannot be read. It may be a pipe.
void read_config_file(OptionTable& table, const std::string& file);

/// Throws UsageError: there is no such option, but perhaps one that is spelt otherwise.
[[noreturn]] void unknown_option(const OptionTable& table, const std::string& argument);

}  // namespace nibble
