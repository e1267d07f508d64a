// SPDX-License-Identifier: Apache-2.0
// The metrics file: JSONL, first {"step": 0, "run": {...}}, which tells what ran, then one object a
// step or evaluation, written whole line by whole line, so that a kill leaves at most one broken
// last line. A resumed run cuts what lies beyond its step.
#pragma once

#include "io/json.h"

namespace nibble {

class MetricsFile {
 public:
  /// What is kept of the last step: validation is the last that is recorded of one.
  enum class LastStep : bool { kWhole, kWithoutValidation };
  /// Opens PATH for appending, keeping records whose "step" is at most `keep_through` (0: none).
  /// An empty path writes nowhere.
  MetricsFile(const fs::path& path, int64_t keep_through, LastStep last = LastStep::kWhole);
  ~MetricsFile();
  MetricsFile(const MetricsFile&) = delete;
  MetricsFile& operator=(const MetricsFile&) = delete;

  void write(const Json& record);

 private:
  fs::path path_;
  int fd_ = -1;
};

}  // namespace nibble
