// SPDX-License-Identifier: Apache-2.0
#include "eval/table_records.h"

#include <optional>

#include "data/records.h"

namespace nibble {
struct TableRecords::State {
  std::string stem;
  std::optional<RecordReader> records;
  std::vector<std::pair<std::string, LineReader>> beside;

  bool read(TaskRecord& out) {
    Record record;
    if (!records->next(record)) return false;
    out.place = place_of(record);
    if (record.faulty) throw DataError(cat(out.place, ": ", record.text));
    out.value = parse_json(record.text, out.place);
    if (!out.value.is_object()) throw DataError(cat(out.place, ": a record is no JSON object"));
    return true;
  }
};

TableRecords::TableRecords(const std::string& path, const std::vector<std::string>& columns,
                           const std::vector<std::pair<std::string, std::string>>& beside)
    : state_(std::make_unique<State>()) {
  State& s = *state_;
  fs::path name = path;
  if (name.extension() == ".zst") name = name.stem();
  s.stem = name.stem().string();
  const RecordForm form = name.extension() == ".csv"   ? RecordForm::kCsv
                          : name.extension() == ".tsv" ? RecordForm::kTsv
                                                       : RecordForm::kJson;
  s.records.emplace(path, form, columns);
  for (const auto& [member, ending] : beside)
    if (const fs::path lines = name.parent_path() / (s.stem + ending); input_exists(lines))
      s.beside.emplace_back(member, LineReader(lines.string()));
}

TableRecords::~TableRecords() = default;

bool TableRecords::next(TaskRecord& record) {
  if (!state_->read(record)) {
    for (auto& [member, lines] : state_->beside)
      if (std::string_view line; lines.next(line))
        throw DataError(cat(lines.place(), ": a line more than there are records"));
    return false;
  }
  for (auto& [member, lines] : state_->beside) {
    std::string_view line;
    if (!lines.next(line))
      throw DataError(cat(record.place, ": ", lines.name(), " has no line for it"));
    record.value.set(member, line);
  }
  if (!record.value.find("source_file")) record.value.set("source_file", state_->stem);
  return true;
}

}  // namespace nibble
