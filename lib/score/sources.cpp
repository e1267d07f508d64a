// SPDX-License-Identifier: Apache-2.0
#include "score/sources.h"

#include <simdjson.h>

#include "base/error.h"
#include "score/words.h"

namespace nibble {
namespace {

class LineSource : public ItemSource {
 public:
  explicit LineSource(LineReader lines) : lines_(std::move(lines)) {}
  bool next(Item& item) override {
    item.begin(0);
    return read(item);
  }
  const std::string& name() const override { return lines_.name(); }
  std::string place() const override { return lines_.place(); }

 protected:
  virtual bool read(Item& item) {
    std::string_view line;
    if (!lines_.next(line)) return false;
    item.texts.resize(1);
    add(item, 0, line);
    return true;
  }
  void add(Item& item, size_t at, std::string_view line) {
    if (!is_ascii(line) && !simdjson::validate_utf8(line.data(), line.size()))
      refuse_text(lines_.place());
    put_text(item.texts, at, line);
    item.line = lines_.number();
  }

  LineReader lines_;
};

class GroupSource : public LineSource {
 public:
  using LineSource::LineSource;

 protected:
  bool read(Item& item) override {
    size_t count = 0;
    for (std::string_view line; lines_.next(line);) {
      if (!is_blank(line))
        add(item, count++, line);
      else if (count > 0)
        break;
    }
    item.texts.resize(count);
    return count > 0;
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

void Item::begin(int64_t at_line) {
  has_texts = true;
  references.clear();
  key.clear();
  id.clear();
  record.clear();
  line = at_line;
}

void put_text(std::vector<std::string>& texts, size_t at, std::string_view text) {
  if (at == texts.size()) texts.emplace_back();
  texts[at].assign(text);
}

void refuse_text(const std::string& place) {
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
