// SPDX-License-Identifier: Apache-2.0
// A file read by place, by any number of threads at once. A mapped one is faulted in and let go
// page by page; a stream over all of a large file is read sooner like this.
#pragma once

#include "io/file.h"

namespace nibble {

class PlacedReader {
 public:
  explicit PlacedReader(const fs::path& path);
  ~PlacedReader();
  PlacedReader(const PlacedReader&) = delete;
  PlacedReader& operator=(const PlacedReader&) = delete;

  /// Bytes [offset, offset + bytes); throws IoError where they cannot be read or are not there.
  void read(size_t offset, void* to, size_t bytes) const;

 private:
  fs::path path_;
  int fd_ = -1;
};

}  // namespace nibble
