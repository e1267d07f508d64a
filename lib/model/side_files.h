// SPDX-License-Identifier: Apache-2.0
// What a model folder holds besides config.json and weights.
#pragma once

#include "io/file.h"

namespace nibble {

/// Copies tokenizer, chat template, generation settings, model card and licence, where they are
/// there.
void copy_side_files(const fs::path& from, const fs::path& to);

}  // namespace nibble
