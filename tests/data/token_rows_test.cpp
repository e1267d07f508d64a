// SPDX-License-Identifier: Apache-2.0
#include "data/token_rows.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace nibble {
namespace {

TokenRow parse(std::string text, int64_t vocab = 1000) {
  const size_t size = text.size();
  text.append(64, '\0');
  TokenRow row;
  parse_token_row(std::string_view(text).substr(0, size), vocab, row);
  return row;
}

std::string fault(const std::string& text) {
  try {
    parse(text);
  } catch (const DataError& e) {
    return e.what();
  }
  return "";
}

TEST(TokenRowsTest, ReadsAndWrites) {
  const TokenRow row = {{1, 999, 0, 7}, {0, 1, 0, 1}};
  std::string text;
  append_token_row(text, row);
  EXPECT_EQ(text, R"({"input_ids":[1,999,0,7],"labels":[-100,999,-100,7]})");
  EXPECT_EQ(parse(text), row);
  EXPECT_EQ(parse(R"({"labels": [], "input_ids": []})"), TokenRow());
  EXPECT_EQ(parse(R"({"input_ids": [3, 4], "attention_mask": [1, 1]})"),
            (TokenRow{{3, 4}, {1, 1}}));
}

TEST(TokenRowsTest, NamesFaults) {
  EXPECT_TRUE(fault("{").starts_with("malformed JSON: ")) << fault("{");
  EXPECT_TRUE(fault("").starts_with("malformed JSON: ")) << fault("");
  EXPECT_EQ(fault("[1]"), "expected an object with \"input_ids\"");
  EXPECT_EQ(fault("{}"), "no \"input_ids\"");
  EXPECT_EQ(fault(R"({"input_ids":3})"), "\"input_ids\" is not an array");
  EXPECT_EQ(fault(R"({"input_ids":[1,"a"]})"), "input_ids[1] is not an integer");
  EXPECT_EQ(fault(R"({"input_ids":[1,2.5]})"), "input_ids[1] is not an integer");
  EXPECT_EQ(fault(R"({"input_ids":[1000]})"),
            "input_ids[0] is 1000, not in the model's vocabulary of 1000 tokens");
  EXPECT_EQ(fault(R"({"input_ids":[-1]})"),
            "input_ids[0] is -1, not in the model's vocabulary of 1000 tokens");
  EXPECT_EQ(fault(R"({"input_ids":[4294967297]})"),
            "input_ids[0] is 4294967297, not in the model's vocabulary of 1000 tokens");
  EXPECT_EQ(fault(R"({"input_ids":[1],"labels":null})"), "\"labels\" is not an array");
  EXPECT_EQ(fault(R"({"input_ids":[1,2],"labels":[1]})"),
            "\"labels\" has 1 items, \"input_ids\" 2");
  EXPECT_EQ(fault(R"({"input_ids":[1],"labels":[1,1]})"),
            "\"labels\" has 2 items, \"input_ids\" 1");
  EXPECT_EQ(fault(R"({"input_ids":[1,2],"labels":[1,1]})"),
            "labels[1] is 1, neither its token (2) nor -100");
}

}  // namespace
}  // namespace nibble
