// SPDX-License-Identifier: Apache-2.0
#include "eval/task_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace nibble {

TaskLogContents read_task_log(const std::string& path, size_t* end) {
  const MappedFile file(path);
  const std::string_view text = file.text();
  TaskLogContents out;
  int64_t line = 0;
  size_t at = 0;
  while (at < text.size()) {
    const size_t stop = text.find('\n', at);
    if (stop == std::string_view::npos) break;
    const std::string place = cat(path, ":", ++line);
    const Json record = parse_json(std::string(text.substr(at, stop - at)), place);
    at = stop + 1;
    if (line == 1) {
      if (!record.find("nibble-eval"))
        throw DataError(cat(place, ": no log of nibble-eval begins so"));
      out.head = record;
      continue;
    }
    try {
      auto& records = out.records[record.at("task").as_string()];
      if (record.at("example").as_integer() < 0) throw DataError("\"example\" is negative");
      if (!record.at("scores").is_object()) throw DataError("\"scores\" is no object");
      records.push_back(record);
    } catch (const DataError& e) {
      throw DataError(cat(place, ": ", e.what()));
    }
  }
  if (end)
    *end = at;
  else if (line == 0)
    throw DataError(cat(path, ":1: no log of nibble-eval begins so"));
  for (auto& [task, records] : out.records) {
    std::ranges::stable_sort(records, {},
                             [](const Json& r) { return r.find("example")->as_integer(); });
    const auto twice = std::ranges::adjacent_find(
        records, {}, [](const Json& r) { return r.find("example")->as_integer(); });
    if (twice != records.end())
      throw DataError(cat(path, ": example ", twice->find("example")->as_integer(), " of ", task,
                          " is there twice"));
  }
  return out;
}

TaskLog::TaskLog(const std::string& path, const Json& head) : path_(path) {
  if (path.empty()) return;
  struct stat about = {};
  const bool there = stat(path.c_str(), &about) == 0;
  const bool regular = !there || S_ISREG(about.st_mode);
  size_t end = 0;
  if (there && regular && about.st_size > 0) {
    before_ = read_task_log(path, &end);
    if (end > 0 && !(before_.head == head))
      throw UsageError(cat("--log=", path, ": holds an evaluation of other settings; ",
                           "remove it, or name another file"));
  }
  fd_ = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (fd_ < 0) throw CannotCreateError(cat(path, ": ", errno_text(errno)));
  if (!regular) {
    put(head.dump() + "\n");
    return;
  }
  if (ftruncate(fd_, static_cast<off_t>(end)) != 0 || lseek(fd_, 0, SEEK_END) < 0)
    throw IoError(cat(path, ": ", errno_text(errno)));
  if (end == 0) put(head.dump() + "\n");
}

TaskLog::~TaskLog() {
  if (fd_ >= 0) close(fd_);
}

void TaskLog::write(const Json& record) {
  if (fd_ >= 0) put(record.dump() + "\n");
}

void TaskLog::put(std::string text) {
  for (std::string_view rest = text; !rest.empty();) {
    const ssize_t count = ::write(fd_, rest.data(), rest.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw IoError(cat(path_, ": ", errno_text(errno)));
    rest.remove_prefix(static_cast<size_t>(count));
  }
}

}  // namespace nibble
