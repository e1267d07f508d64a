// SPDX-License-Identifier: Apache-2.0
#include "data/token_rows.h"

#include "base/error.h"
#include "data/records.h"

namespace nibble {
namespace {

simdjson::dom::array list(simdjson::dom::element value, const char* name) {
  simdjson::dom::array items;
  if (value.get_array().get(items)) throw DataError(cat("\"", name, "\" is not an array"));
  return items;
}

int64_t integer(simdjson::dom::element value, const char* name, size_t i) {
  int64_t n = 0;
  if (value.get_int64().get(n)) throw DataError(cat(name, "[", i, "] is not an integer"));
  return n;
}

}  // namespace

void parse_token_row(std::string_view text, int64_t vocab_size, TokenRow& row) {
  simdjson::dom::element ids, labels;
  simdjson::dom::object object;
  row.tokens.clear();
  row.trained.clear();
  if (parse_record(text).get_object().get(object))
    throw DataError("expected an object with \"input_ids\"");
  if (object["input_ids"].get(ids)) throw DataError("no \"input_ids\"");
  size_t i = 0;
  for (const auto item : list(ids, "input_ids")) {
    const int64_t id = integer(item, "input_ids", i);
    if (id < 0 || id >= vocab_size)
      throw DataError(cat("input_ids[", i, "] is ", id, ", not in the model's vocabulary of ",
                          vocab_size, " tokens"));
    row.tokens.push_back(static_cast<int32_t>(id));
    ++i;
  }
  if (object["labels"].get(labels)) {
    row.trained.assign(row.tokens.size(), 1);
    return;
  }
  i = 0;
  for (const auto item : list(labels, "labels")) {
    const int64_t label = integer(item, "labels", i);
    if (i < row.tokens.size() && label != TokenRow::kIgnored && label != row.tokens[i])
      throw DataError(
          cat("labels[", i, "] is ", label, ", neither its token (", row.tokens[i], ") nor -100"));
    row.trained.push_back(label != TokenRow::kIgnored);
    ++i;
  }
  if (i != row.tokens.size())
    throw DataError(cat("\"labels\" has ", i, " items, \"input_ids\" ", row.tokens.size()));
}

void append_token_row(std::string& out, const TokenRow& row) {
  CHECK(row.tokens.size() == row.trained.size());
  out += "{\"input_ids\":[";
  for (size_t i = 0; i < row.tokens.size(); ++i) {
    if (i > 0) out += ',';
    detail::append(out, row.tokens[i]);
  }
  out += "],\"labels\":[";
  for (size_t i = 0; i < row.tokens.size(); ++i) {
    if (i > 0) out += ',';
    detail::append(out, row.trained[i] ? row.tokens[i] : TokenRow::kIgnored);
  }
  out += "]}";
}

}  // namespace nibble
