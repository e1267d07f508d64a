// SPDX-License-Identifier: Apache-2.0
#include "plot/tail.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/cannot_read.h"
#include "base/error.h"

namespace nibble {
namespace {

constexpr size_t kKnownBytes = 256;
constexpr size_t kMaxLine = size_t{16} << 20;

}  // namespace

Tail::~Tail() {
  if (fd_ >= 0) ::close(fd_);
}

Tail::Tail(Tail&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      offset_(other.offset_),
      half_(std::move(other.half_)),
      last_(std::move(other.last_)) {}

Tail& Tail::operator=(Tail&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(offset_, other.offset_);
  std::swap(half_, other.half_);
  std::swap(last_, other.last_);
  return *this;
}

bool Tail::reopen() {
  const int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    if (errno == ENOENT) return false;
    throw_cannot_read(path_, errno);
  }
  struct stat status = {};
  if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(fd);
    throw NoInputError(cat(path_, ": not a file; --follow reads one that grows"));
  }
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
  offset_ = 0;
  half_.clear();
  last_.clear();
  return true;
}

// Whether what was read is still there: not shorter, and the same where reading stopped.
bool Tail::same_as_read() const {
  struct stat open = {}, named = {};
  if (::fstat(fd_, &open) != 0 || open.st_size < offset_) return false;
  if (::stat(path_.c_str(), &named) == 0 &&
      (named.st_dev != open.st_dev || named.st_ino != open.st_ino))
    return false;
  std::string now(last_.size(), '\0');
  const ssize_t n =
      ::pread(fd_, now.data(), now.size(), offset_ - static_cast<off_t>(last_.size()));
  return n == static_cast<ssize_t>(last_.size()) && now == last_;
}

Tail::News Tail::look() {
  News news;
  if (fd_ < 0) {
    if (!reopen()) return news;
  } else if (!same_as_read()) {
    // Between a rename away and the new file there may be none.
    if (!reopen()) return news;
    news.anew = true;
  }
  char buffer[1 << 16];
  for (;;) {
    const ssize_t n = ::pread(fd_, buffer, sizeof buffer, offset_);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      throw IoError(cat(path_, ": cannot read: ", errno_text(errno), "; check the device"));
    if (n == 0) break;
    const std::string_view bytes(buffer, static_cast<size_t>(n));
    offset_ += n;
    last_ += bytes;
    last_.erase(0, last_.size() - std::min(last_.size(), kKnownBytes));
    for (size_t at = 0; at < bytes.size();) {
      const size_t end = bytes.find('\n', at);
      half_ += bytes.substr(at, std::min(end, bytes.size()) - at);
      if (half_.size() > kMaxLine)
        throw DataError(cat(path_, ": a line longer than ", kMaxLine >> 20,
                            " MiB; is this what nibble-train writes with --metrics?"));
      if (end == std::string_view::npos) break;
      news.lines.push_back(std::exchange(half_, {}));
      at = end + 1;
    }
  }
  return news;
}

}  // namespace nibble
