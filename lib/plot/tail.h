// SPDX-License-Identifier: Apache-2.0
// A text file that another process writes: the lines that have been completed since one last
// looked. A file that is cut, replaced or rewritten is read anew; one that is not there yet, or not
// there for a moment, is waited for. It is looked at, not watched: that works on every file system.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace nibble {

class Tail {
 public:
  explicit Tail(std::string path) : path_(std::move(path)) {}
  ~Tail();
  Tail(Tail&& other) noexcept;
  Tail& operator=(Tail&& other) noexcept;

  struct News {
    bool anew = false;               // what was read before is no longer so
    std::vector<std::string> lines;  // whole ones, without their ends
  };
  /// Throws NoInputError where the file may not be read or is none, IoError where reading fails.
  News look();
  const std::string& path() const { return path_; }

 private:
  bool reopen();
  bool same_as_read() const;
  std::string path_;
  int fd_ = -1;
  off_t offset_ = 0;
  std::string half_;  // a line that has not ended
  std::string last_;  // the last bytes read, to know them by
};

}  // namespace nibble
