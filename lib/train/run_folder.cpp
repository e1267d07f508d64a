// SPDX-License-Identifier: Apache-2.0
#include "train/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"

namespace nibble {
namespace {

std::string this_process() {
  char host[256] = {};
  if (::gethostname(host, sizeof host - 1) != 0) host[0] = '\0';
  return cat("process ", static_cast<int64_t>(::getpid()), " on ", host[0] ? host : "this machine");
}

std::string holder(int fd) {
  char text[320] = {};
  const ssize_t n = ::pread(fd, text, sizeof text - 1, 0);
  std::string name(text, n > 0 ? static_cast<size_t>(n) : 0);
  name = name.substr(0, name.find('\n'));
  return name.empty() ? "another process" : name;
}

// Whether `path` still names the file that is open: its last holder may have removed it.
bool is_at(int fd, const fs::path& path) {
  struct stat open = {}, named = {};
  return ::fstat(fd, &open) == 0 && ::stat(path.c_str(), &named) == 0 &&
         open.st_dev == named.st_dev && open.st_ino == named.st_ino;
}

}  // namespace

RunFolder::RunFolder(const fs::path& path) : path_(path), lock_path_(path / "train.lock") {
  std::error_code error;
  for (fs::path p = path; !p.empty() && !fs::exists(p, error); p = p.parent_path()) {
    if (p.has_filename()) made_ = p;
    if (p == p.parent_path()) break;
  }
  fs::create_directories(path, error);
  if (!error && !fs::is_directory(path, error)) error = std::make_error_code(std::errc(ENOTDIR));
  try {
    if (error)
      throw CannotCreateError(
          cat(path.string(), ": cannot create: ", error.message(), "; choose another --out"));
    lock();
  } catch (...) {
    if (fd_ >= 0) ::close(fd_);
    remove_empty();
    throw;
  }
}

RunFolder::~RunFolder() {
  ::unlink(lock_path_.c_str());
  ::close(fd_);
  remove_empty();
}

void RunFolder::lock() {
  do {
    if (fd_ >= 0) ::close(fd_);
    fd_ = ::open(lock_path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd_ < 0)
      throw CannotCreateError(
          cat(path_.string(), ": cannot write: ", errno_text(errno), "; choose another --out"));
    // A file system that has no locks cannot keep runs apart; that is no reason to refuse one.
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
      throw CannotCreateError(cat(path_.string(), ": ", holder(fd_),
                                  " trains into it; wait for it or choose another --out"));
  } while (!is_at(fd_, lock_path_));
  const std::string text = this_process() + "\n";
  errno = ENOSPC;  // what a short write means
  if (::ftruncate(fd_, 0) != 0 ||
      ::pwrite(fd_, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    const int error = errno;
    ::unlink(lock_path_.c_str());
    throw IoError(cat(path_.string(), ": cannot write: ", errno_text(error),
                      "; free some space and run again"));
  }
}

void RunFolder::remove_empty() {
  if (made_.empty()) return;
  for (fs::path p = path_.has_filename() ? path_ : path_.parent_path();; p = p.parent_path())
    if (::rmdir(p.c_str()) != 0 || p == made_) return;
}

}  // namespace nibble
