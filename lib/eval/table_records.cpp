// SPDX-License-Identifier: Apache-2.0
#include "eval/table_records.h"

#include <optional>

#include "data/records.h"

namespace nibble {
namespace {

// The cells of a row; a quoted one may go on over lines.
std::vector<std::string> read_row(LineReader& lines, std::string_view line, char separator) {
  std::vector<std::string> cells(1);
  if (separator == '\t') {
    for (const char c : line)
      if (c == separator)
        cells.emplace_back();
      else
        cells.back() += c;
    return cells;
  }
  const std::string place = lines.place();
  bool quoted = false;
  std::string text(line);
  for (size_t i = 0;; ++i) {
    if (i == text.size()) {
      if (!quoted) return cells;
      cells.back() += '\n';
      std::string_view more;
      if (!lines.next(more)) throw DataError(cat(place, ": a quote is not closed"));
      text = more;
      i = static_cast<size_t>(-1);
    } else if (quoted) {
      if (text[i] != '"')
        cells.back() += text[i];
      else if (i + 1 < text.size() && text[i + 1] == '"')
        cells.back() += text[i++];
      else
        quoted = false;
    } else if (text[i] == '"' && cells.back().empty()) {
      quoted = true;
    } else if (text[i] == separator) {
      cells.emplace_back();
    } else {
      cells.back() += text[i];
    }
  }
}

}  // namespace

struct TableRecords::State {
  char separator = 0;  // 0: JSON
  std::string stem;
  std::vector<std::string> columns;
  std::optional<RecordReader> json;
  std::optional<LineReader> rows;
  std::vector<std::pair<std::string, LineReader>> beside;

  bool read(TaskRecord& out) {
    if (json) {
      Record record;
      if (!json->next(record)) return false;
      out.place = place_of(record);
      out.value = parse_json(record.text, out.place);
      if (!out.value.is_object()) throw DataError(cat(out.place, ": a record is no JSON object"));
      return true;
    }
    std::string_view line;
    do
      if (!rows->next(line)) return false;
    while (line.empty());
    out.place = rows->place();
    auto cells = read_row(*rows, line, separator);
    if (columns.empty()) {
      columns = std::move(cells);
      return read(out);
    }
    if (cells.size() != columns.size())
      throw DataError(
          cat(out.place, ": ", std::ssize(cells), " columns, but ", std::ssize(columns), " names"));
    out.value = Json::object();
    for (size_t i = 0; i < cells.size(); ++i) out.value.set(columns[i], std::move(cells[i]));
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
  s.separator = name.extension() == ".csv" ? ',' : name.extension() == ".tsv" ? '\t' : '\0';
  s.columns = columns;
  if (s.separator)
    s.rows.emplace(path);
  else
    s.json.emplace(path);
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
