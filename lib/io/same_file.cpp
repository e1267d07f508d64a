// SPDX-License-Identifier: Apache-2.0
#include "io/same_file.h"

#include <system_error>

namespace nibble {

namespace fs = std::filesystem;

fs::path behind_links(fs::path path) {
  std::error_code error;
  for (int links = 0; links < 40 && fs::is_symlink(fs::symlink_status(path, error)); ++links) {
    const fs::path next = fs::read_symlink(path, error);
    if (error) break;
    path = next.is_absolute() ? next : path.parent_path() / next;
  }
  return path;
}

fs::path only_name(const fs::path& path) {
  std::error_code error;
  const fs::path folder = path.parent_path();
  const fs::path real = fs::weakly_canonical(folder.empty() ? "." : folder, error);
  return error ? path : real / path.filename();
}

bool same_file(const fs::path& one, const fs::path& other) {
  std::error_code error;
  if (fs::exists(one, error) && !fs::is_regular_file(one, error)) return false;
  return fs::equivalent(one, other, error) ||
         only_name(behind_links(one)) == only_name(behind_links(other));
}

}  // namespace nibble
