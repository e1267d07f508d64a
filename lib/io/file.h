// SPDX-License-Identifier: Apache-2.0
// Files: mapped for reading, written to a temporary beside the target and renamed when complete,
// so that a reader never sees half a file and a failure leaves the old one. Every error names the
// path and carries its exit code (66 missing or unreadable, 73 cannot create, 74 midway).
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace nibble {

namespace fs = std::filesystem;

/// Thrown when the reader of our output has gone; run_tool ends quietly on it.
struct ClosedPipe {};

/// A file mapped read-only. Pages are shared with the page cache and read on first touch.
class MappedFile {
 public:
  explicit MappedFile(const fs::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }
  const fs::path& path() const { return path_; }

  /// Tells the kernel that [offset, offset + size) will not be needed soon, so that streaming over
  /// a file larger than memory keeps a small resident set.
  void forget(size_t offset, size_t size) const;
  /// The same for memory of the mapping; nothing where `data` lies elsewhere.
  void forget(const void* data, size_t size) const;

 private:
  fs::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// Writes PATH.tmp-PID, then fsyncs and renames it to PATH in commit(). Destroyed without commit,
/// the temporary is removed. A file that is there keeps its mode and must be writable; a link stays
/// one, and what it names is written. PATH may also be an existing device or FIFO (/dev/full), or
/// "-" for standard output: these are written directly.
class AtomicFile {
 public:
  explicit AtomicFile(const fs::path& path);
  ~AtomicFile();
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;

  void write(const void* data, size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  /// Overwrites bytes already written (regular files only).
  void write_at(size_t offset, const void* data, size_t bytes);
  size_t size() const { return size_; }
  void commit();
  const fs::path& path() const { return path_; }

 private:
  void flush_buffer();
  fs::path path_, target_, temporary_;  // target_: behind links
  int fd_ = -1;
  size_t size_ = 0;
  std::string buffer_;
};

/// A folder that is filled under a temporary name (PATH.tmp-PID) and renamed to PATH in commit().
/// PATH must not exist or be an empty folder, or, with `replace`, an older output of the same kind
/// (it is moved aside and removed after the rename). Destroyed without commit, it is removed.
class AtomicFolder {
 public:
  explicit AtomicFolder(const fs::path& path, bool replace = false);
  ~AtomicFolder();
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;

  /// Where to write now.
  const fs::path& working() const { return temporary_; }
  const fs::path& path() const { return path_; }
  void commit();

 private:
  fs::path path_, target_, temporary_;
  bool replace_ = false;
};

/// Whether there is something to read. Throws NoInputError where a folder on the way may not be
/// searched, and for a link to nothing: neither is the same as missing.
bool input_exists(const fs::path& path);
/// Likewise, and whether it is a folder.
bool is_input_folder(const fs::path& path);

/// The whole file; throws NoInputError, or DataError where it is larger than `limit` bytes.
std::string read_text_file(const fs::path& path, size_t limit = size_t{1} << 30);

/// Writes atomically.
void write_text_file(const fs::path& path, std::string_view text);

}  // namespace nibble
