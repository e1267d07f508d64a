// SPDX-License-Identifier: Apache-2.0
// Records of instruction data to lines of examples: the pipeline of nibble-format, and of whoever
// wants examples of any file of conversations.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "data/form_detector.h"
#include "data/records.h"
#include "data/segments.h"

namespace nibble {

struct FormatRules {
  const Form* from = nullptr;  // nullptr: as a file's first records show
  RecordForm records = RecordForm::kExamples;
  FieldNames names;
  Paths paths = Paths::kBest;
  SegmentRules segments;
};

/// What --from takes: auto, the forms, csv, tsv, lines.
std::vector<std::string> form_choices();
/// Sets `from` and `records`. Throws UsageError.
void set_form(FormatRules& rules, const std::string& choice);

/// Examples of one record.
struct FormattedRecord {
  std::string lines;      // JSON, a line each, without the last line's end
  int64_t examples = 0;   // lines
  int64_t untrained = 0;  // of them with nothing to learn, of a pair on one side
  int64_t empty = 0;      // conversations without text
  int64_t left_out = 0;   // messages of a tree that were deleted
  ExampleNotes notes;
};

struct FormatCounts {
  int64_t written = 0, untrained = 0, empty = 0, left_out = 0;
  int64_t flags = 0, flags_overridden = 0;
  int64_t system_lost = 0;
  std::string system_lost_at;  // the first of them
};
/// What of it people must know, a line each.
std::vector<std::string> describe(const FormatCounts& counts);

/// Reads the files (standard input where there are none) and gives each record's examples to `use`,
/// in order. `say` is told the form of each file.
void format_records(const FormatRules& rules, const std::vector<std::string>& files,
                    BadRecords& bad, FormatCounts& counts,
                    const std::function<void(const Record&, const FormattedRecord&)>& use,
                    const std::function<void(const std::string&)>& say);

}  // namespace nibble
