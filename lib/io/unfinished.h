// SPDX-License-Identifier: Apache-2.0
// What a process that is ended by a signal has to take with it.
#pragma once

#include <filesystem>
#include <map>
#include <mutex>

namespace nibble {

/// Temporaries of AtomicFiles and AtomicFolders (io/file.h) that are not renamed yet; for any
/// thread.
class Unfinished {
 public:
  /// False where it is there already: two outputs would share a temporary, and one be lost.
  bool add(const std::filesystem::path& path);
  void drop(const std::filesystem::path& path);
  /// Whether `path` lies in a folder that is being filled.
  bool hold(const std::filesystem::path& path);
  void remove_all();

 private:
  std::mutex mutex_;
  std::map<std::filesystem::path, std::filesystem::path> paths_;  // and the only name of each
};

/// Those of this process.
Unfinished& unfinished();

}  // namespace nibble
