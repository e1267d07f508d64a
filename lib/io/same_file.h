// SPDX-License-Identifier: Apache-2.0
// Whether two names are of one file: by another folder's name or a link, and there or yet to be
// made. Devices and pipes are no files here: they may be written twice.
#pragma once

#include <filesystem>

namespace nibble {

bool same_file(const std::filesystem::path& one, const std::filesystem::path& other);

}  // namespace nibble
