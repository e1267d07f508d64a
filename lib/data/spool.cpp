// SPDX-License-Identifier: Apache-2.0
#include "data/spool.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/error.h"

namespace nibble {
namespace {

constexpr size_t kBuffer = size_t{1} << 20;

// What stands before a row's ids and mask.
struct Head {
  uint32_t count = 0;
  int32_t rejected = 0;
  ExampleKind kind = ExampleKind::kPlain;
  bool desirable = false;
};

}  // namespace

TokenSpool::TokenSpool() {
  const char* folder = std::getenv("TMPDIR");
  folder_ = folder && *folder ? folder : "/tmp";
  std::string name = folder_ + "/nibble-spool-XXXXXX";
  fd_ = ::mkostemp(name.data(), O_CLOEXEC);
  if (fd_ < 0)
    throw CannotCreateError(cat(folder_, ": cannot create a temporary file: ", errno_text(errno),
                                "; set TMPDIR to a folder that you may write"));
  ::unlink(name.c_str());
}

TokenSpool::~TokenSpool() {
  ::close(fd_);
}

void TokenSpool::add(const TokenRow& row) {
  offsets_.push_back(written_ + buffer_.size());
  const Head head = {.count = static_cast<uint32_t>(row.tokens.size()),
                     .rejected = row.rejected,
                     .kind = row.kind,
                     .desirable = row.desirable};
  buffer_.append(reinterpret_cast<const char*>(&head), sizeof head);
  buffer_.append(reinterpret_cast<const char*>(row.tokens.data()), 4 * row.tokens.size());
  buffer_.append(reinterpret_cast<const char*>(row.trained.data()), row.trained.size());
  if (buffer_.size() >= kBuffer) flush();
}

void TokenSpool::flush() {
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

void TokenSpool::read(int64_t i, TokenRow& row) {
  if (!buffer_.empty()) flush();
  const auto fetch = [&](void* to, size_t bytes, uint64_t offset) {
    for (size_t done = 0; done < bytes;) {
      const ssize_t n = ::pread(fd_, static_cast<char*>(to) + done, bytes - done,
                                static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0)
        throw IoError(cat(folder_, ": cannot read a temporary file: ",
                          n < 0 ? errno_text(errno) : "it is shorter than it was"));
      done += static_cast<size_t>(n);
    }
  };
  const uint64_t offset = offsets_[static_cast<size_t>(i)];
  Head head;
  fetch(&head, sizeof head, offset);
  const size_t count = head.count;
  row.tokens.resize(count);
  row.trained.resize(count);
  row.rejected = head.rejected;
  row.kind = head.kind;
  row.desirable = head.desirable;
  fetch(row.tokens.data(), 4 * count, offset + sizeof head);
  fetch(row.trained.data(), count, offset + sizeof head + 4 * count);
}

}  // namespace nibble
