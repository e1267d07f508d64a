// SPDX-License-Identifier: Apache-2.0
#include "data/format_records.h"

#include "base/error.h"

namespace nibble {
namespace {

void format_record(const FormatRules& rules, const FormDetector& detector, const Record& record,
                   FormattedRecord& result) {
  thread_local Conversations found;
  result = {.lines = std::move(result.lines)};
  result.lines.clear();
  if (rules.records == RecordForm::kLines) {
    found.all.assign(1, {.messages = {{.role = "assistant", .content = std::string(record.text)}},
                         .plain = true});
  } else {
    const Fields fields(parse_record(record.text), rules.names);
    read_conversations(detector.form_of(fields), fields, rules.paths, found);
    result.left_out = found.left_out;
    result.empty = found.all.empty();
  }
  for (Conversation& conversation : found.all) {
    const SegmentedExample example = to_example(rules.segments, conversation, &result.notes);
    if (example.segments.empty()) {
      ++result.empty;
      continue;
    }
    if (result.examples++ > 0) result.lines += '\n';
    append_example(result.lines, example);
    result.untrained += !example.trained();
  }
}

}  // namespace

std::vector<std::string> form_choices() {
  std::vector<std::string> names = {"auto"};
  for (const Form* form : forms()) names.emplace_back(form->name);
  for (const char* name : {"csv", "tsv", "lines"}) names.emplace_back(name);
  return names;
}

void set_form(FormatRules& rules, const std::string& choice) {
  rules.from = nullptr;
  rules.records = choice == "csv"     ? RecordForm::kCsv
                  : choice == "tsv"   ? RecordForm::kTsv
                  : choice == "lines" ? RecordForm::kLines
                                      : RecordForm::kExamples;
  if (rules.records == RecordForm::kExamples && choice != "auto")
    rules.from = &form_by_name(choice);
}

void format_records(const FormatRules& rules, const std::vector<std::string>& files,
                    BadRecords& bad, FormatCounts& counts,
                    const std::function<void(const Record&, const FormattedRecord&)>& use,
                    const std::function<void(const std::string&)>& say) {
  FormDetector detector(rules.from);
  const auto begin_file = [&](std::span<const Record> records) {
    if (rules.from || rules.records == RecordForm::kLines) return;
    detector.begin_file(records, rules.names);
    if (detector.form())
      say(cat(*records[0].file, ": records of the form ", detector.form()->name));
  };
  map_records<FormattedRecord>(
      files, bad,
      [&](const Record& record, FormattedRecord& result) {
        format_record(rules, detector, record, result);
      },
      [&](const Record& record, const FormattedRecord& result) {
        counts.written += result.examples;
        counts.untrained += result.untrained;
        counts.empty += result.empty;
        counts.left_out += result.left_out;
        counts.flags += result.notes.flags;
        counts.flags_overridden += result.notes.flags_overridden;
        if (result.notes.system_lost && counts.system_lost++ == 0)
          counts.system_lost_at = place_of(record);
        use(record, result);
      },
      begin_file, rules.records, Overlap::kNo, {.work = "render"});
}

std::vector<std::string> describe(const FormatCounts& c) {
  std::vector<std::string> lines;
  const auto add = [&](int64_t count, const auto&... text) {
    if (count > 0) lines.push_back(cat(count, text...));
  };
  add(c.empty, " records hold no text and were skipped");
  add(c.left_out, " deleted messages of trees were left out");
  add(c.untrained, " examples have nothing to train on; see --train-on");
  add(c.flags_overridden,
      " turns have a flag of their own that --train-on overrides; --train-on=flags obeys it");
  add(c.system_lost, " system messages are not written by the template, the first at ",
      c.system_lost_at, "; take another --template");
  return lines;
}

}  // namespace nibble
