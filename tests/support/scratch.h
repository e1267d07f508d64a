// SPDX-License-Identifier: Apache-2.0
// A folder of its own for a test, removed at the end.
#pragma once

#include <cstdlib>
#include <string>

#include "base/error.h"
#include "io/file.h"

namespace nibble::test {

class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (fs::temp_directory_path() / "nibble-test-XXXXXX").string();
    if (!mkdtemp(name.data())) throw CannotCreateError(cat(name, ": cannot create; is /tmp full?"));
    path_ = name;
  }
  ~ScratchFolder() {
    std::error_code error;
    fs::remove_all(path_, error);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const fs::path& path() const { return path_; }
  fs::path operator/(const std::string& name) const { return path_ / name; }

 private:
  fs::path path_;
};

}  // namespace nibble::test
