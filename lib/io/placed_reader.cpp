// SPDX-License-Identifier: Apache-2.0
#include "io/placed_reader.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/cannot_read.h"
#include "base/error.h"

namespace nibble {

PlacedReader::PlacedReader(const fs::path& path)
    : path_(path), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (fd_ < 0) throw_cannot_read(path.string(), errno);
}

PlacedReader::~PlacedReader() {
  ::close(fd_);
}

void PlacedReader::read(size_t offset, void* to, size_t bytes) const {
  auto* p = static_cast<std::byte*>(to);
  while (bytes > 0) {
    const ssize_t n = ::pread(fd_, p, bytes, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw IoError(cat(path_.string(), ": cannot read: ", errno_text(errno)));
    if (n == 0)
      throw IoError(cat(path_.string(), ": became shorter while it was read; fetch it again"));
    p += n;
    offset += static_cast<size_t>(n);
    bytes -= static_cast<size_t>(n);
  }
}

}  // namespace nibble
