// SPDX-License-Identifier: Apache-2.0
#include "train/metrics.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "io/lines.h"

namespace nibble {
namespace {

// The records of a killed run up to a step; its last line may be broken.
std::string kept_records(const fs::path& path, int64_t keep_through, MetricsFile::LastStep last) {
  std::string kept;
  std::error_code error;
  if (keep_through == 0 || !fs::is_regular_file(path, error)) return kept;
  LineReader reader(path.string());
  for (std::string_view line; reader.next(line);) {
    try {
      const Json record = parse_json(line, reader.place());
      const int64_t step = record.at("step").as_integer();
      if (step > keep_through) continue;
      if (step == keep_through && last == MetricsFile::LastStep::kWithoutValidation &&
          record.find("validation_loss"))
        continue;
    } catch (const DataError&) {
      continue;
    }
    kept += line;
    kept += '\n';
  }
  return kept;
}

}  // namespace

MetricsFile::MetricsFile(const fs::path& path, int64_t keep_through, LastStep last) : path_(path) {
  if (path.empty()) return;
  std::error_code error;
  if (!fs::exists(path, error) || fs::is_regular_file(path, error))
    write_text_file(path, kept_records(path, keep_through, last));
  fd_ = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (fd_ < 0)
    throw CannotCreateError(
        cat(path.string(), ": cannot write: ", errno_text(errno), "; choose another --metrics"));
}

MetricsFile::~MetricsFile() {
  if (fd_ >= 0) ::close(fd_);
}

void MetricsFile::write(const Json& record) {
  if (fd_ < 0) return;
  const std::string line = record.dump() + "\n";
  const off_t before = ::lseek(fd_, 0, SEEK_END);
  for (size_t done = 0; done < line.size();) {
    const ssize_t n = ::write(fd_, line.data() + done, line.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int error = errno;
      if (error == EPIPE) throw ClosedPipe{};
      // Half a record is none; a device cannot take it back.
      const bool cut = before >= 0 && ::ftruncate(fd_, before) == 0;
      throw IoError(cat(path_.string(), ": cannot write: ", errno_text(error),
                        cut ? "; free some space and --resume" : "; choose another --metrics"));
    }
    done += static_cast<size_t>(n);
  }
}

}  // namespace nibble
