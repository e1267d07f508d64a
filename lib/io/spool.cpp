// SPDX-License-Identifier: Apache-2.0
#include "io/spool.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/error.h"

namespace nibble {
namespace {

constexpr size_t kBuffer = size_t{1} << 20;

}  // namespace

Spool::Spool() {
  const char* folder = std::getenv("TMPDIR");
  folder_ = folder && *folder ? folder : "/tmp";
  std::string name = folder_ + "/nibble-spool-XXXXXX";
  fd_ = ::mkostemp(name.data(), O_CLOEXEC);
  if (fd_ < 0)
    throw CannotCreateError(cat(folder_, ": cannot create a temporary file: ", errno_text(errno),
                                "; set TMPDIR to a folder that you may write"));
  ::unlink(name.c_str());
}

Spool::~Spool() {
  ::close(fd_);
}

void Spool::add(const void* data, size_t bytes) {
  buffer_.append(static_cast<const char*>(data), bytes);
  if (buffer_.size() >= kBuffer) flush();
}

void Spool::flush() {
  for (size_t done = 0; done < buffer_.size();) {
    const ssize_t n = ::write(fd_, buffer_.data() + done, buffer_.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      throw IoError(cat(folder_, ": cannot write a temporary file: ", errno_text(errno),
                        "; set TMPDIR to a folder with more space"));
    done += static_cast<size_t>(n);
  }
  written_ += buffer_.size();
  buffer_.clear();
}

void Spool::read(uint64_t offset, void* to, size_t bytes) {
  CHECK(offset + bytes <= end());
  auto* p = static_cast<char*>(to);
  // What is not yet in the file is in the buffer.
  if (offset + bytes > written_) {
    const uint64_t from = std::max(offset, written_);
    const auto tail = static_cast<size_t>(offset + bytes - from);
    bytes -= tail;
    std::memcpy(p + bytes, buffer_.data() + (from - written_), tail);
  }
  for (size_t done = 0; done < bytes;) {
    const ssize_t n = ::pread(fd_, p + done, bytes - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0)
      throw IoError(cat(folder_, ": cannot read a temporary file: ",
                        n < 0 ? errno_text(errno) : "it is shorter than it was"));
    done += static_cast<size_t>(n);
  }
}

}  // namespace nibble
