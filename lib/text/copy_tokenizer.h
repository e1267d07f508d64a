// SPDX-License-Identifier: Apache-2.0
// The files in which a model folder keeps its tokenizer and chat template.
#pragma once

#include "io/file.h"

namespace nibble {

/// Whether the folder has a tokenizer of its own (adapters do where tokens were added).
bool has_tokenizer(const fs::path& folder);
/// Copies whichever of the files are there, byte for byte.
void copy_tokenizer_files(const fs::path& from, const fs::path& to);
void remove_tokenizer_files(const fs::path& folder);

}  // namespace nibble
