// SPDX-License-Identifier: Apache-2.0
#include "io/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "base/cannot_read.h"
#include "base/error.h"
#include "base/profile.h"
#include "io/same_file.h"
#include "io/unfinished.h"

namespace nibble {
namespace {

constexpr size_t kBuffer = size_t{1} << 20;
constexpr size_t kDirect = size_t{1} << 17;  // as much is not worth copying first
constexpr size_t kWriteback = size_t{8} << 20;

// What a temporary's name ends in until it is renamed; messages leave it out.
std::string temporary_mark() {
  return cat(".tmp-", static_cast<int64_t>(getpid()));
}

std::string shown(const fs::path& path) {
  std::string name = path.string();
  const std::string mark = temporary_mark();
  for (size_t at; (at = name.find(mark)) != std::string::npos;) name.erase(at, mark.size());
  return name;
}

[[noreturn]] void throw_cannot_create(const fs::path& path, int error) {
  const std::string remedy =
      error == EACCES || error == EPERM || error == EROFS ? "choose a path that you may write"
      : error == ENOENT                                   ? "create its folder first"
      : error == ENOSPC || error == EDQUOT                ? "free some space"
      : error == EMFILE || error == ENFILE                ? "allow more open files (ulimit -n)"
                                                          : "choose another path";
  throw CannotCreateError(cat(shown(path), ": cannot create: ", errno_text(error), "; ", remedy));
}

[[noreturn]] void throw_write_failed(const fs::path& path, int error) {
  const bool full = error == ENOSPC || error == EDQUOT;
  throw IoError(cat(shown(path), ": cannot write: ", errno_text(error),
                    full             ? "; free some space and run again"
                    : error == EFBIG ? "; allow larger files (ulimit -f) and run again"
                                     : "; nothing was kept"));
}

[[noreturn]] void throw_occupied(const fs::path& path) {
  throw CannotCreateError(
      cat(path.string(), ": exists and is not empty; remove it or choose another"));
}

void write_all(int fd, const char* data, size_t bytes, const fs::path& path) {
  Span span("write");
  span.add(0.0, static_cast<double>(bytes));
  while (bytes > 0) {
    const ssize_t n = ::write(fd, data, bytes);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EPIPE) throw ClosedPipe{};
      throw_write_failed(path, errno);
    }
    data += n;
    bytes -= static_cast<size_t>(n);
  }
}

// What will be waited for in the end is on its way to the disk while more is made. A hint: where
// it cannot be given, the end takes longer.
void start_writeback(int fd, size_t before, size_t after) {
  const size_t begin = before / kWriteback * kWriteback, end = after / kWriteback * kWriteback;
  if (begin < end)
    ::sync_file_range(fd, static_cast<off_t>(begin), static_cast<off_t>(end - begin),
                      SYNC_FILE_RANGE_WRITE);
}

fs::path temporary_name(const fs::path& path) {
  return path.string() + temporary_mark();
}

[[noreturn]] void throw_named_twice(const fs::path& path) {
  throw UsageError(cat(path.string(), ": named twice; give each output a file of its own"));
}

// Starts or waits for the way of a file to the disk; the error's number, or 0.
template <class Sync>
int with_descriptor(const fs::path& path, const Sync& sync) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  const int error = sync(fd) == 0 ? 0 : errno;
  ::close(fd);
  return error;
}

// A rename is durable once its folder is.
void sync_folder(const fs::path& folder) {
  with_descriptor(folder.empty() ? "." : folder, ::fsync);
}

// All that a folder holds. Every file is on its way before the first is waited for.
void sync_files(const fs::path& folder, const fs::path& shown_as) {
  std::vector<fs::path> paths;
  std::error_code stopped;
  for (fs::recursive_directory_iterator i(folder, stopped), end; !stopped && i != end;
       i.increment(stopped))
    if (!i->is_symlink() && (i->is_regular_file() || i->is_directory())) paths.push_back(i->path());
  if (stopped) throw_write_failed(shown_as, stopped.value());
  for (const fs::path& path : paths)
    with_descriptor(path,
                    [](int fd) { return ::sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE); });
  for (const fs::path& path : paths)
    if (const int error = with_descriptor(path, ::fsync))
      throw_write_failed(shown_as / path.filename(), error);
}

fs::path without_trailing_slash(const fs::path& path) {
  return path.has_filename() ? path : path.parent_path();
}

}  // namespace

MappedFile::MappedFile(const fs::path& path) : path_(path) {
  // Without O_NONBLOCK a FIFO would be waited for before it is refused.
  const int fd = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) throw_cannot_read(path.string(), errno);
  struct stat info = {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    throw NoInputError(cat(path.string(), ": not a regular file; give the file itself"));
  }
  size_ = static_cast<size_t>(info.st_size);
  if (size_ > 0) {
    void* p = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) {
      const int error = errno;
      ::close(fd);
      const std::string fault =
          cat(path.string(), ": cannot map ", size_, " bytes: ", errno_text(error), "; ");
      if (error == ENOMEM) throw MemoryError(fault + "allow more address space (ulimit -v)");
      throw IoError(fault + "copy it to another file system");
    }
    data_ = static_cast<const std::byte*>(p);
  }
  ::close(fd);
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

void MappedFile::forget(size_t offset, size_t size) const {
  const size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t begin = (offset + page - 1) / page * page;
  const size_t end = std::min(size_, offset + size) / page * page;
  if (begin < end) ::madvise(const_cast<std::byte*>(data_) + begin, end - begin, MADV_DONTNEED);
}

void MappedFile::forget(const void* data, size_t size) const {
  const auto at = reinterpret_cast<uintptr_t>(data) - reinterpret_cast<uintptr_t>(data_);
  if (at < size_) forget(static_cast<size_t>(at), size);
}

AtomicFile::AtomicFile(const fs::path& path) : path_(path) {
  buffer_.reserve(kBuffer);
  if (path == "-" || path == "/dev/stdout") {  // the latter may be a link to a regular file
    path_ = "(standard output)";
    fd_ = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
    if (fd_ < 0) throw_cannot_create(path_, errno);
    return;
  }
  target_ = behind_links(path);
  struct stat info = {};
  const bool exists = ::stat(target_.c_str(), &info) == 0;
  if (!exists && errno != ENOENT) throw_cannot_create(path, errno);
  if (exists && S_ISDIR(info.st_mode))
    throw CannotCreateError(cat(path.string(), ": is a folder; name a file"));
  // A rename would replace what its owner has protected.
  if (exists && ::access(target_.c_str(), W_OK) != 0) throw_cannot_create(path, errno);
  const bool direct = exists && !S_ISREG(info.st_mode);
  if (!direct && !unfinished().add(temporary_ = temporary_name(target_))) throw_named_twice(path);
  fd_ = direct ? ::open(target_.c_str(), O_WRONLY | O_CLOEXEC)
               : ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd_ < 0) {
    const int error = errno;
    unfinished().drop(temporary_);
    throw_cannot_create(path, error);
  }
  if (exists && !direct) ::fchmod(fd_, info.st_mode & 07777);
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      target_(std::move(other.target_)),
      temporary_(std::move(other.temporary_)),
      fd_(std::exchange(other.fd_, -1)),
      size_(other.size_),
      buffer_(std::move(other.buffer_)) {}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  if (temporary_.empty()) return;
  ::unlink(temporary_.c_str());
  unfinished().drop(temporary_);
}

void AtomicFile::flush_buffer() {
  if (buffer_.empty()) return;
  write_all(fd_, buffer_.data(), buffer_.size(), path_);
  buffer_.clear();
}

void AtomicFile::write(const void* data, size_t bytes) {
  CHECK(fd_ >= 0);
  const size_t before = size_ - buffer_.size();
  if (buffer_.size() + bytes > kBuffer || bytes >= kDirect) flush_buffer();
  if (bytes >= kDirect)
    write_all(fd_, static_cast<const char*>(data), bytes, path_);
  else
    buffer_.append(static_cast<const char*>(data), bytes);
  size_ += bytes;
  if (!temporary_.empty()) start_writeback(fd_, before, size_ - buffer_.size());
}

void AtomicFile::write_at(size_t offset, const void* data, size_t bytes) {
  CHECK(offset + bytes <= size_ && !temporary_.empty());
  flush_buffer();
  const char* p = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t n = ::pwrite(fd_, p, bytes, static_cast<off_t>(offset));
    if (n < 0) {
      if (errno == EINTR) continue;
      throw_write_failed(path_, errno);
    }
    p += n;
    offset += static_cast<size_t>(n);
    bytes -= static_cast<size_t>(n);
  }
}

void AtomicFile::commit() {
  CHECK(fd_ >= 0);
  flush_buffer();
  const Span span("sync");
  const bool syncs =
      !temporary_.empty() && !unfinished().hold(target_);  // else the folder's commit does it
  if (syncs && ::fsync(fd_) != 0) throw_write_failed(path_, errno);
  const int closed = ::close(std::exchange(fd_, -1));
  if (temporary_.empty()) {
    if (closed != 0) throw_write_failed(path_, errno);
    return;
  }
  if (closed != 0 || ::rename(temporary_.c_str(), target_.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary_.c_str());
    unfinished().drop(temporary_);
    throw_write_failed(path_, error);
  }
  unfinished().drop(temporary_);
  if (syncs) sync_folder(target_.parent_path());
}

AtomicFolder::AtomicFolder(const fs::path& path, bool replace)
    : path_(without_trailing_slash(path)),
      target_(behind_links(path_)),
      temporary_(temporary_name(target_)),
      replace_(replace) {
  std::error_code error;
  if (fs::exists(target_, error)) {
    if (!fs::is_directory(target_, error))
      throw CannotCreateError(cat(path_.string(), ": exists and is no folder; choose another"));
    if (!replace_ && !fs::is_empty(target_, error)) throw_occupied(path_);
  }
  if (!unfinished().add(temporary_)) throw_named_twice(path_);
  fs::remove_all(temporary_, error);
  if (!fs::create_directory(temporary_, error)) {
    unfinished().drop(temporary_);
    throw_cannot_create(path_, error ? error.value() : EEXIST);
  }
}

AtomicFolder::~AtomicFolder() {
  std::error_code error;
  if (temporary_.empty()) return;
  fs::remove_all(temporary_, error);
  unfinished().drop(temporary_);
}

void AtomicFolder::commit() {
  const Span span("sync");
  sync_files(temporary_, path_);
  sync_folder(temporary_);
  std::error_code error;
  fs::path old;
  // Without `replace` the rename itself refuses what has come into the target since.
  if (replace_ && fs::exists(target_, error)) {
    old = cat(target_.string(), ".old-", static_cast<int64_t>(getpid()));
    fs::rename(target_, old, error);
    if (error) throw_write_failed(path_, error.value());
  }
  fs::rename(temporary_, target_, error);
  if (error) {
    const int code = error.value();
    if (!old.empty()) fs::rename(old, target_, error);
    if (code == ENOTEMPTY || code == EEXIST || code == ENOTDIR) throw_occupied(path_);
    throw_write_failed(path_, code);
  }
  unfinished().drop(temporary_);
  temporary_.clear();
  sync_folder(target_.parent_path());
  if (!old.empty()) fs::remove_all(old, error);
}

bool input_exists(const fs::path& path) {
  struct stat info = {};
  if (::stat(path.c_str(), &info) == 0) return true;
  const int error = errno;
  const bool missing = error == ENOENT || error == ENOTDIR;
  if (missing && ::lstat(path.c_str(), &info) == 0)
    throw NoInputError(cat(path.string(), ": a link to what does not exist; mend or remove it"));
  if (!missing) throw_cannot_read(path.string(), error);
  return false;
}

bool is_input_folder(const fs::path& path) {
  std::error_code error;
  return input_exists(path) && fs::is_directory(path, error);
}

std::string read_text_file(const fs::path& path, size_t limit) {
  const MappedFile file(path);
  if (file.bytes().size() > limit)
    throw DataError(cat(path.string(), ": larger than ", limit, " bytes; is it the right file?"));
  return std::string(file.text());
}

void write_text_file(const fs::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace nibble
