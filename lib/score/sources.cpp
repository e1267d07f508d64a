// SPDX-License-Identifier: Apache-2.0
#include "score/sources.h"

#include "base/error.h"
#include "text/unicode.h"

namespace nibble {
namespace {

class LineSource : public ItemSource {
 public:
  explicit LineSource(LineReader lines) : lines_(std::move(lines)) {}
  bool next(Item& item) override {
    item = {};
    return read(item);
  }
  const std::string& name() const override { return lines_.name(); }
  std::string place() const override { return lines_.place(); }

 protected:
  virtual bool read(Item& item) {
    std::string_view line;
    if (!lines_.next(line)) return false;
    add(item, line);
    return true;
  }
  void add(Item& item, std::string_view line) {
    check_utf8(line, lines_.place());
    item.texts.emplace_back(line);
    item.line = lines_.number();
  }

  LineReader lines_;
};

class GroupSource : public LineSource {
 public:
  using LineSource::LineSource;

 protected:
  bool read(Item& item) override {
    for (std::string_view line; lines_.next(line);) {
      if (!python_strip(line).empty())
        add(item, line);
      else if (!item.texts.empty())
        break;
    }
    return !item.texts.empty();
  }
};

// By the file's name, or else by its first character.
Layout detect_layout(LineReader& lines) {
  std::string_view name = lines.name();
  if (name.ends_with(".zst")) name.remove_suffix(4);
  if (name.ends_with(".jsonl") || name.ends_with(".json")) return Layout::kRecords;
  if (name.ends_with(".csv") || name.ends_with(".tsv")) return Layout::kTable;
  return lines.peek().starts_with('{') ? Layout::kRecords : Layout::kLines;
}

}  // namespace

Layout layout_by_name(std::string_view name) {
  if (name == "lines") return Layout::kLines;
  if (name == "groups") return Layout::kGroups;
  if (name == "records") return Layout::kRecords;
  if (name == "table") return Layout::kTable;
  return Layout::kAuto;
}

void check_utf8(std::string_view text, const std::string& place) {
  if (!is_utf8(text))
    throw DataError(place + ": not UTF-8; convert it, as with iconv -f latin1 -t utf8");
}

std::unique_ptr<ItemSource> lines_of(LineReader lines) {
  return std::make_unique<LineSource>(std::move(lines));
}

std::unique_ptr<ItemSource> groups_of(LineReader lines) {
  return std::make_unique<GroupSource>(std::move(lines));
}

std::unique_ptr<ItemSource> open_source(const std::string& path, const SourceOptions& options) {
  LineReader lines(path);
  switch (options.layout == Layout::kAuto ? detect_layout(lines) : options.layout) {
    case Layout::kRecords:
      return records_of(std::move(lines), options);
    case Layout::kTable:
      return table_of(std::move(lines), options);
    case Layout::kGroups:
      return groups_of(std::move(lines));
    default:
      return lines_of(std::move(lines));
  }
}

}  // namespace nibble
