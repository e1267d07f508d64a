// SPDX-License-Identifier: Apache-2.0
// The folder a run writes into. While the run lives it holds OUT/train.lock (flock), which says
// process and machine; the kernel lets go of it however the process ends.
#pragma once

#include "io/file.h"

namespace nibble {

class RunFolder {
 public:
  /// Makes the folder, and those above it, where they are missing. Throws CannotCreateError where
  /// another run holds it, naming that run.
  explicit RunFolder(const fs::path& path);
  /// Removes the lock, and what the constructor made where nothing was put into it.
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

 private:
  void lock();
  void remove_empty();
  fs::path path_, lock_path_;
  fs::path made_;  // the uppermost folder that was missing
  int fd_ = -1;
};

}  // namespace nibble
