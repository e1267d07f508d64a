// SPDX-License-Identifier: Apache-2.0
#include "cli/outputs.h"

#include "cli/tool.h"
#include "io/same_file.h"

namespace nibble {

void refuse_lost_files(std::initializer_list<std::string> outputs,
                       std::span<const std::string> inputs) {
  for (const std::string& output : outputs) {
    if (output.empty() || output == "-") continue;
    refuse_to_replace(output, inputs);
    for (const std::string& other : outputs)
      if (&other != &output && !other.empty() && same_file(output, other))
        throw UsageError(cat(output, ": named twice; give each output a file of its own"));
  }
}

}  // namespace nibble
