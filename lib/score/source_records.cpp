// SPDX-License-Identifier: Apache-2.0
// Records of JSON, and rows of tables, which are records too: a field by name, or the first of the
// usual names. References are found too in the answer of any form of conversation, so that a file
// of instructions is a file of references. The E2E challenge's references are a table "mr,ref" and
// its systems' outputs "MR<TAB>output": the names of a table's columns may be in any case.
#include <algorithm>
#include <span>

#include "base/error.h"
#include "data/conversation.h"
#include "data/records.h"
#include "score/sources.h"
#include "text/jinja_utf8.h"

namespace nibble {
namespace {

using simdjson::dom::element;

constexpr std::string_view kPredictionNames[] = {"completion", "prediction", "hypothesis",
                                                 "generated_text", "output"};
constexpr std::string_view kReferenceNames[] = {"references", "reference", "refs",   "ref",
                                                "targets",    "target",    "answers"};

constexpr std::string_view kKeyNames[] = {"mr", "meaning_representation", "id"};

bool find(element record, std::string_view name, element& value) {
  return record.at_key(name).get(value) == simdjson::SUCCESS && !value.is_null();
}

std::string text_of(element value, std::string_view name) {
  std::string_view text;
  if (value.get_string().get(text) == simdjson::SUCCESS) return std::string(text);
  if (value.is_number() || value.is_bool()) return simdjson::minify(value);
  throw DataError(cat("\"", name, "\" holds ", value.is_null() ? "null" : "no text"));
}

// A text, a list of texts, or an object of which "text" is either (SQuAD's answers).
void read_texts(element value, std::string_view name, std::vector<std::string>& texts) {
  element inner;
  if (value.is_object()) {
    if (!find(value, "text", inner)) throw DataError(cat("\"", name, "\" has no \"text\""));
    return read_texts(inner, cat(name, ".text"), texts);
  }
  size_t count = 0;
  if (!value.is_array()) {
    put_text(texts, count++, text_of(value, name));
  } else {
    for (const element item : value.get_array()) put_text(texts, count++, text_of(item, name));
  }
  texts.resize(count);
}

// The last answer of a conversation, where the record is one that does not hold it in the field of
// the prediction.
bool answer_of(element record, std::string_view prediction, std::vector<std::string>& texts) {
  // Turns may end with a "completion" beside them: the prediction is not to be their answer.
  const FieldNames names = {{"completion", prediction == "completion" ? "" : "completion"}};
  const Fields fields(record, names);
  const Form* form = find_form(fields);
  if (!form || form == &kTextForm || (form == &kAlpacaForm && prediction == "output") ||
      (form == &kPromptForm && !fields.has("completion")))
    return false;
  Conversation conversation;
  read_conversation(*form, fields, conversation);
  if (conversation.messages.empty() || conversation.messages.back().role != "assistant")
    return false;
  texts = {conversation.messages.back().content};
  return true;
}

class RecordSource : public ItemSource {
 public:
  RecordSource(RecordReader reader, std::string name, SourceOptions options)
      : reader_(std::move(reader)), options_(std::move(options)), name_(std::move(name)) {}

  bool next(Item& item) override {
    if (!reader_.next(row_)) return false;
    item.begin(row_.line);
    if (row_.faulty) throw DataError(cat(place(), ": ", row_.text));
    if (options_.keep_records) item.record.assign(row_.text);
    item.has_texts = false;
    if (!options_.only_records) try {
        read(item);
      } catch (const DataError& e) {
        throw DataError(cat(place(), ": ", e.what()));
      }
    return true;
  }
  std::string key_name() const override { return jinja::utf8::lower(options_.match); }
  const std::string& name() const override { return name_; }
  std::string place() const override { return row_.file ? place_of(row_) : name_; }

 private:
  void read(Item& item) {
    const element value = parse_record(row_.text);
    if (!value.is_object()) throw DataError("not a JSON object");
    element member;
    if (find(value, "id", member) && !member.is_object() && !member.is_array())
      item.id = text_of(member, "id");
    if (!options_.match.empty()) {
      if (!find(value, options_.match, member))
        throw DataError(cat("no \"", options_.match, "\" to match by"));
      item.key = text_of(member, options_.match);
      if (item.id.empty()) item.id = item.key;
    }
    if (options_.references) {
      item.has_texts = read_references(value, options_.field, {}, item.texts);
    } else {
      const std::string_view field = read_prediction(value, item);
      if (options_.both) read_references(value, options_.reference_field, field, item.references);
    }
  }

  // What the record calls it; empty where it has none.
  std::string_view read_prediction(element value, Item& item) const {
    element member;
    const auto take = [&](std::string_view name) {
      item.has_texts = true;
      read_texts(member, name, item.texts);
      if (item.texts.size() != 1)
        throw DataError(cat("\"", name, "\" holds ", item.texts.size(), " texts, not one"));
      return name;
    };
    if (!options_.field.empty()) {
      if (find(value, options_.field, member)) return take(options_.field);
      throw DataError(cat("no \"", options_.field, "\""));
    }
    for (const std::string_view name : kPredictionNames)
      if (find(value, name, member)) return take(name);
    return {};
  }

  static bool read_references(element value, const std::string& field, std::string_view prediction,
                              std::vector<std::string>& texts) {
    element member;
    if (!field.empty()) {
      if (!find(value, field, member)) throw DataError(cat("no \"", field, "\""));
      read_texts(member, field, texts);
      return true;
    }
    for (const std::string_view name : kReferenceNames)
      if (find(value, name, member)) {
        read_texts(member, name, texts);
        return true;
      }
    return answer_of(value, prediction, texts);
  }

  RecordReader reader_;
  SourceOptions options_;
  std::string name_;
  Record row_;
};

// The columns of a table that the options name, in any case, or else by the usual names.
SourceOptions by_column(SourceOptions o, const std::vector<std::string>& columns) {
  const auto find = [&](std::string_view name) {
    const std::string wanted = jinja::utf8::lower(name);
    for (const std::string& column : columns)
      if (!column.empty() && jinja::utf8::lower(column) == wanted) return column;
    return std::string();
  };
  for (std::string* given : {&o.field, &o.match, &o.reference_field})
    if (const std::string column = find(*given); !column.empty()) *given = column;
  for (const std::string_view key : kKeyNames)
    if (o.match.empty()) o.match = find(key);
  const auto usual = o.references ? std::span<const std::string_view>(kReferenceNames)
                                  : std::span<const std::string_view>(kPredictionNames);
  for (const std::string_view name : usual)
    if (o.field.empty()) o.field = find(name);
  return o;
}

// Rows of which one column holds the text: all that most tables need, without a way through JSON.
class TableItems : public ItemSource {
 public:
  static bool can_read(const TableReader& rows, const SourceOptions& o) {
    const auto there = [&](const std::string& name) {
      return std::ranges::find(rows.names(), name) != rows.names().end();
    };
    return !o.both && !o.keep_records && !o.field.empty() && there(o.field) &&
           (o.match.empty() || there(o.match));
  }
  TableItems(TableReader rows, const SourceOptions& o)
      : rows_(std::move(rows)),
        match_(jinja::utf8::lower(o.match)),
        text_(column(o.field)),
        key_(column(o.match)),
        id_(column("id")) {}

  bool next(Item& item) override {
    if (!rows_.next()) return false;
    if (!rows_.fault().empty()) throw DataError(cat(place(), ": ", rows_.fault()));
    item.begin(rows_.line());
    item.texts.resize(1);
    put_text(item.texts, 0, rows_.cells()[static_cast<size_t>(text_)]);
    if (key_ >= 0) item.key = rows_.cells()[static_cast<size_t>(key_)];
    item.id = id_ >= 0 ? rows_.cells()[static_cast<size_t>(id_)] : item.key;
    if (item.id.empty()) item.id = item.key;
    return true;
  }
  std::string key_name() const override { return match_; }
  const std::string& name() const override { return rows_.file(); }
  std::string place() const override { return cat(rows_.file(), ":", rows_.line()); }

 private:
  int64_t column(std::string_view name) const {
    const auto at = std::ranges::find(rows_.names(), name);
    return name.empty() || at == rows_.names().end() ? -1 : at - rows_.names().begin();
  }

  TableReader rows_;
  std::string match_;
  int64_t text_, key_, id_;  // columns; -1: none
};

}  // namespace

std::unique_ptr<ItemSource> records_of(LineReader lines, const SourceOptions& options) {
  const std::string name = lines.name();
  return std::make_unique<RecordSource>(RecordReader(std::move(lines)), name, options);
}

std::unique_ptr<ItemSource> table_of(LineReader lines, const SourceOptions& given) {
  constexpr size_t kHeader = size_t{1} << 16;
  const bool tabs = lines.peek_line(kHeader).find('\t') != std::string_view::npos;
  TableReader rows(std::move(lines), tabs ? '\t' : ',');
  const SourceOptions options = by_column(given, rows.names());
  if (TableItems::can_read(rows, options))
    return std::make_unique<TableItems>(std::move(rows), options);
  const std::string name = rows.file();
  return std::make_unique<RecordSource>(RecordReader(std::move(rows)), name, options);
}

}  // namespace nibble
