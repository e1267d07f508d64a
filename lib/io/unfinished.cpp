// SPDX-License-Identifier: Apache-2.0
#include "io/unfinished.h"

#include <algorithm>
#include <system_error>

#include "io/same_file.h"

namespace nibble {

namespace fs = std::filesystem;

bool Unfinished::add(const fs::path& path) {
  const fs::path name = only_name(path);
  const std::lock_guard lock(mutex_);
  if (std::ranges::any_of(paths_, [&](const auto& other) { return other.second == name; }))
    return false;
  paths_.emplace(path, name);
  return true;
}

void Unfinished::drop(const fs::path& path) {
  const std::lock_guard lock(mutex_);
  paths_.erase(path);
}

bool Unfinished::hold(const fs::path& path) {
  const std::lock_guard lock(mutex_);
  for (fs::path folder = path.parent_path(); folder.has_relative_path();
       folder = folder.parent_path())
    if (paths_.contains(folder)) return true;
  return false;
}

void Unfinished::remove_all() {
  const std::lock_guard lock(mutex_);
  std::error_code error;
  // A folder that is still being filled may need another try.
  for (const auto& [path, name] : paths_)
    for (int i = 0; i < 100 && fs::exists(path, error); ++i) fs::remove_all(path, error);
}

Unfinished& unfinished() {
  static auto& all = *new Unfinished;  // outlives every thread
  return all;
}

}  // namespace nibble
