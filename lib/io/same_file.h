// SPDX-License-Identifier: Apache-2.0
// Whether two names are of one file: by another folder's name or a link, and there or yet to be
// made. Devices and pipes are no files here: they may be written twice.
#pragma once

#include <filesystem>

namespace nibble {

bool same_file(const std::filesystem::path& one, const std::filesystem::path& other);

/// Where the output lies that a link names; the link stays one.
std::filesystem::path behind_links(std::filesystem::path path);

/// The one name that a path has, whatever its folder is called; the file need not be there.
std::filesystem::path only_name(const std::filesystem::path& path);

}  // namespace nibble
