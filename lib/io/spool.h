// SPDX-License-Identifier: Apache-2.0
// Spool: bytes put away in a nameless temporary file, to be read back anywhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace nibble {

class Spool {
 public:
  /// The file is made in $TMPDIR, or /tmp. Throws CannotCreateError.
  Spool();
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  /// Where the next bytes will lie.
  uint64_t end() const { return written_ + buffer_.size(); }
  void add(const void* data, size_t bytes);
  /// Throws IoError.
  void read(uint64_t offset, void* to, size_t bytes);

 private:
  void flush();

  std::string folder_;
  int fd_ = -1;
  uint64_t written_ = 0;
  std::string buffer_;
};

}  // namespace nibble
