// SPDX-License-Identifier: Apache-2.0
#include "data/token_rows.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <span>

#include "base/common_prefix.h"
#include "base/error.h"
#include "data/fields.h"
#include "data/records.h"

namespace nibble {
namespace {

// Appends the ids of a field, all trained or none.
void append_ids(const Fields& record, std::string_view field, int64_t vocab_size, bool trained,
                TokenRow& row) {
  size_t i = 0;
  for (const auto item : record.array(field)) {
    int64_t id = 0;
    if (item.get_int64().get(id)) record.fail(cat(field, "[", i, "] is not an integer"));
    if (id < 0 || id >= vocab_size)
      record.fail(cat(field, "[", i, "] is ", id, ", ",
                      vocab_size == INT32_MAX  // there is no model to ask
                          ? "which no token has"
                          : cat("not in the model's vocabulary of ", vocab_size, " tokens")));
    row.tokens.push_back(static_cast<int32_t>(id));
    ++i;
  }
  row.trained.resize(row.tokens.size(), trained);
}

// The labels of the ids from `begin` on.
void read_labels(const Fields& record, std::string_view field, std::string_view ids, size_t begin,
                 TokenRow& row) {
  simdjson::dom::element given;
  if (record.object()[field].get(given)) return;  // null is not as good as absent: a mask was lost
  size_t i = begin;
  for (const auto item : record.array(field)) {
    int64_t label = 0;
    if (item.get_int64().get(label)) record.fail(cat(field, "[", i - begin, "] is not an integer"));
    if (i < row.tokens.size()) {
      if (label != TokenRow::kIgnored && label != row.tokens[i])
        record.fail(cat(field, "[", i - begin, "] is ", label, ", neither its token (",
                        row.tokens[i], ") nor -100"));
      row.trained[i] = label != TokenRow::kIgnored;
    }
    ++i;
  }
  if (i != row.tokens.size())
    record.fail(cat("\"", field, "\" has ", i - begin, " items, \"", ids, "\" ",
                    row.tokens.size() - begin));
}

// A prompt, where there is one, and an answer to it.
void read_side(const Fields& record, std::string_view answer, std::string_view labels,
               int64_t vocab_size, TokenRow& row) {
  if (record.has("prompt_ids")) append_ids(record, "prompt_ids", vocab_size, false, row);
  const size_t begin = row.tokens.size();
  append_ids(record, answer, vocab_size, true, row);
  read_labels(record, labels, answer, begin, row);
}

void append_list(std::string& out, const char* name, std::span<const int32_t> ids,
                 std::span<const uint8_t> trained) {
  out += out.ends_with('{') ? "\"" : ",\"";
  out += name;
  out += "\":[";
  // Digits are gathered apart: a string's every append looks for room.
  constexpr size_t kLongest = std::numeric_limits<int32_t>::digits10 + 3;  // sign and comma too
  char text[64 * kLongest];
  char* end = text;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (i > 0) *end++ = ',';
    const int32_t id = trained.empty() || trained[i] ? ids[i] : TokenRow::kIgnored;
    end = std::to_chars(end, text + sizeof text, id).ptr;
    if (text + sizeof text - end >= std::ptrdiff_t{kLongest}) continue;
    out.append(text, end);
    end = text;
  }
  out.append(text, end);
  out += ']';
}

size_t first_target(std::span<const uint8_t> trained) {
  return static_cast<size_t>(std::find(trained.begin(), trained.end(), 1) - trained.begin());
}

void append_pair(std::string& out, const TokenRow& row) {
  const auto cut = static_cast<size_t>(row.rejected);
  const std::span tokens(row.tokens);
  const std::span trained(row.trained);
  const auto chosen = tokens.first(cut), rejected = tokens.subspan(cut);
  const auto chosen_mask = trained.first(cut), rejected_mask = trained.subspan(cut);
  const size_t most = std::min(first_target(chosen_mask), first_target(rejected_mask));
  const size_t shared = common_prefix(chosen.first(most), rejected.first(most));
  append_list(out, "prompt_ids", chosen.first(shared), {});
  append_list(out, "chosen_ids", chosen.subspan(shared), {});
  append_list(out, "chosen_labels", chosen.subspan(shared), chosen_mask.subspan(shared));
  append_list(out, "rejected_ids", rejected.subspan(shared), {});
  append_list(out, "rejected_labels", rejected.subspan(shared), rejected_mask.subspan(shared));
}

}  // namespace

void parse_token_row(std::string_view text, int64_t vocab_size, TokenRow& row) {
  row.clear();
  const Fields record(parse_record(text), own_names());
  if (record.has("chosen_ids") && record.has("rejected_ids")) {
    row.kind = ExampleKind::kPair;
    read_side(record, "chosen_ids", "chosen_labels", vocab_size, row);
    if (row.tokens.empty()) record.fail("a preference pair with an empty side");
    row.rejected = static_cast<int32_t>(row.tokens.size());
    read_side(record, "rejected_ids", "rejected_labels", vocab_size, row);
    if (row.tokens.size() == static_cast<size_t>(row.rejected))
      record.fail("a preference pair with an empty side");
  } else if (record.has("completion_ids")) {
    read_side(record, "completion_ids", "completion_labels", vocab_size, row);
    if (!record.has("label")) return;
    row.kind = ExampleKind::kRated;
    if (record.at("label").get_bool().get(row.desirable)) record.fail("\"label\" is no boolean");
  } else {
    if (record.has("segments"))
      record.fail("holds segments; make token rows of them with nibble-tokenize");
    append_ids(record, "input_ids", vocab_size, true, row);
    read_labels(record, "labels", "input_ids", 0, row);
  }
}

void append_token_row(std::string& out, const TokenRow& row) {
  CHECK(row.tokens.size() == row.trained.size());
  out += '{';
  if (row.kind == ExampleKind::kPair) {
    append_pair(out, row);
  } else if (row.kind == ExampleKind::kRated) {
    const std::span tokens(row.tokens);
    const std::span trained(row.trained);
    const size_t prompt = first_target(trained);
    append_list(out, "prompt_ids", tokens.first(prompt), {});
    append_list(out, "completion_ids", tokens.subspan(prompt), {});
    append_list(out, "completion_labels", tokens.subspan(prompt), trained.subspan(prompt));
    out += row.desirable ? ",\"label\":true" : ",\"label\":false";
  } else {
    append_list(out, "input_ids", row.tokens, {});
    append_list(out, "labels", row.tokens, row.trained);
  }
  out += '}';
}

}  // namespace nibble
