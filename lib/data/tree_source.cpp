// SPDX-License-Identifier: Apache-2.0
// Rows of message trees, as OASST publishes them: a message a record, with "message_id" and
// "parent_id", those of one tree together. They become one record a tree, so that memory is bounded
// by the largest tree.
#include <simdjson.h>

#include "base/error.h"
#include "data/record_reader.h"
#include "data/records.h"

namespace nibble::detail {
namespace {

class TreeSource : public RecordReader::Source {
 public:
  explicit TreeSource(std::unique_ptr<RecordReader::Source> rows) : rows_(std::move(rows)) {}

  bool next(Record& record) override {
    if (!begun_) {
      begun_ = true;
      if (!rows_->next(row_)) return false;
      joins_ = look(row_) != Row::kOther;
      if (!joins_) {
        record = row_;
        return true;
      }
      pending_ = true;
    }
    return joins_ ? next_tree(record) : rows_->next(record);
  }

 private:
  enum class Row { kRoot, kReply, kOther };

  // Sets id_ to the tree's id, where the row has one.
  Row look(const Record& row) {
    id_.clear();
    if (row.faulty) return Row::kOther;
    simdjson::dom::object object;
    simdjson::dom::element value;
    if (parser_.parse(row.text.data(), row.text.size(), false).get(value) ||
        value.get_object().get(object))
      return Row::kOther;
    simdjson::dom::element parent;
    for (const char* name : {"message_id", "text", "role"})
      if (object[name].get(value)) return Row::kOther;
    const bool has_parent = !object["parent_id"].get(parent) && !parent.is_null();
    std::string_view text;
    if (has_parent && !parent.get_string().get(text) && text.empty()) return root(object);
    return has_parent ? (set_id(object), Row::kReply) : root(object);
  }
  Row root(const simdjson::dom::object& object) {
    simdjson::dom::element replies;
    if (!object["replies"].get(replies)) return Row::kOther;  // a tree by itself
    set_id(object);
    return Row::kRoot;
  }
  void set_id(const simdjson::dom::object& object) {
    std::string_view id;
    if (!object["message_tree_id"].get_string().get(id)) id_ = id;
  }

  // Rows up to the next one that belongs to another tree; anything else is a record by itself.
  bool next_tree(Record& record) {
    if (!pending_ && !rows_->next(row_)) return false;
    pending_ = false;
    record = row_;
    if (look(row_) == Row::kOther) {
      own_ = row_.text;
      own_.reserve(own_.size() + kRecordPadding);
      record.text = own_;
      return true;
    }
    tree_ = "{\"message_tree\":[";
    tree_ += row_.text;
    const std::string tree_id = id_;
    while (rows_->next(row_)) {
      const Row kind = look(row_);
      const bool belongs = kind == Row::kReply && id_ == tree_id;
      if (!belongs) {
        pending_ = true;
        break;
      }
      if (tree_.size() + row_.text.size() > LineReader::kMaxLine) {
        too_long_ = true;
        continue;
      }
      tree_ += ',';
      tree_ += row_.text;
    }
    tree_ += "]}";
    if (too_long_) tree_ = cat("a tree longer than ", LineReader::kMaxLine >> 20, " MiB");
    record.faulty = too_long_;
    too_long_ = false;
    tree_.reserve(tree_.size() + kRecordPadding);
    record.text = tree_;
    return true;
  }

  std::unique_ptr<RecordReader::Source> rows_;
  simdjson::dom::parser parser_;
  Record row_;
  std::string id_, tree_, own_;
  bool begun_ = false, joins_ = false, pending_ = false, too_long_ = false;
};

}  // namespace

std::unique_ptr<RecordReader::Source> tree_source(std::unique_ptr<RecordReader::Source> rows) {
  return std::make_unique<TreeSource>(std::move(rows));
}

}  // namespace nibble::detail
