// SPDX-License-Identifier: Apache-2.0
// Records: a field by name, or the first of the usual names. References are found too in the answer
// of any form of conversation, so that a file of instructions is a file of references.
#include <algorithm>
#include <span>

#include "base/error.h"
#include "data/conversation.h"
#include "data/records.h"
#include "score/sources.h"

namespace nibble {
namespace {

using simdjson::dom::element;

constexpr std::string_view kPredictionNames[] = {"completion", "prediction", "hypothesis",
                                                 "generated_text", "output"};
constexpr std::string_view kReferenceNames[] = {"references", "reference", "refs",   "ref",
                                                "targets",    "target",    "answers"};

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
std::vector<std::string> texts_of(element value, std::string_view name) {
  element inner;
  if (value.is_object()) {
    if (!find(value, "text", inner)) throw DataError(cat("\"", name, "\" has no \"text\""));
    return texts_of(inner, cat(name, ".text"));
  }
  if (!value.is_array()) return {text_of(value, name)};
  std::vector<std::string> texts;
  for (const element item : value.get_array()) texts.push_back(text_of(item, name));
  return texts;
}

// The last answer of a conversation, where the record is one that does not hold it in the field of
// the prediction.
bool answer_of(element record, std::string_view prediction, std::vector<std::string>& texts) {
  const FieldNames names;
  const Fields fields(record, names);
  const bool turns = fields.has("messages") || fields.has("conversations");
  const bool alpaca = fields.has("instruction") && prediction != "output";
  const bool pair = fields.has("prompt") && fields.has("completion") && prediction != "completion";
  if (!turns && !alpaca && !pair) return false;
  Conversation conversation;
  read_conversation(detect_form(fields), fields, conversation);
  if (conversation.messages.empty() || conversation.messages.back().role != "assistant")
    return false;
  texts = {conversation.messages.back().content};
  return true;
}

class RecordSource : public ItemSource {
 public:
  RecordSource(LineReader lines, SourceOptions options)
      : reader_(std::move(lines)), options_(std::move(options)) {}

  bool next(Item& item) override {
    item = {};
    Record record;
    if (!reader_.next(record)) return false;
    name_ = *record.file;
    place_ = place_of(record);
    item.line = record.line;
    try {
      read(record, item);
    } catch (const DataError& e) {
      throw DataError(cat(place_, ": ", e.what()));
    }
    return true;
  }
  std::string key_name() const override { return options_.match; }
  const std::string& name() const override { return name_; }
  std::string place() const override { return place_; }

 private:
  void read(const Record& record, Item& item) {
    const element value = parse_record(record.text);
    if (!value.is_object()) throw DataError("not a JSON object");
    element member;
    if (find(value, "id", member) && !member.is_object() && !member.is_array())
      item.id = text_of(member, "id");
    if (!options_.match.empty()) {
      if (!find(value, options_.match, member))
        throw DataError(cat("no \"", options_.match, "\" to match by"));
      item.key = text_of(member, options_.match);
    }
    if (options_.references) {
      item.has_texts = read_references(value, options_.field, {}, item.texts);
    } else {
      const std::string_view field = read_prediction(value, item);
      if (options_.both) read_references(value, options_.reference_field, field, item.references);
    }
    if (options_.keep_records) item.record = parse_json(record.text, place_);
  }

  // What the record calls it; empty where it has none.
  std::string_view read_prediction(element value, Item& item) const {
    element member;
    const auto take = [&](std::string_view name) {
      item.texts = texts_of(member, name);
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
    item.has_texts = false;
    return {};
  }

  static bool read_references(element value, const std::string& field, std::string_view prediction,
                              std::vector<std::string>& texts) {
    element member;
    if (!field.empty()) {
      if (!find(value, field, member)) throw DataError(cat("no \"", field, "\""));
      texts = texts_of(member, field);
      return true;
    }
    for (const std::string_view name : kReferenceNames)
      if (find(value, name, member)) {
        texts = texts_of(member, name);
        return true;
      }
    return answer_of(value, prediction, texts);
  }

  RecordReader reader_;
  SourceOptions options_;
  std::string name_, place_;
};

}  // namespace

std::unique_ptr<ItemSource> records_of(LineReader lines, const SourceOptions& options) {
  return std::make_unique<RecordSource>(std::move(lines), options);
}

}  // namespace nibble
