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
  EXPECT_EQ(fault("[1]"), "expected an object, found an array");
  EXPECT_EQ(fault("{}"), "no \"input_ids\"");
  EXPECT_EQ(fault(R"({"input_ids":3})"), "\"input_ids\" is a number, not an array");
  EXPECT_EQ(fault(R"({"input_ids":[1,"a"]})"), "input_ids[1] is not an integer");
  EXPECT_EQ(fault(R"({"input_ids":[1,2.5]})"), "input_ids[1] is not an integer");
  EXPECT_EQ(fault(R"({"input_ids":[1000]})"),
            "input_ids[0] is 1000, not in the model's vocabulary of 1000 tokens");
  EXPECT_EQ(fault(R"({"input_ids":[-1]})"),
            "input_ids[0] is -1, not in the model's vocabulary of 1000 tokens");
  EXPECT_EQ(fault(R"({"input_ids":[4294967297]})"),
            "input_ids[0] is 4294967297, not in the model's vocabulary of 1000 tokens");
  EXPECT_EQ(fault(R"({"input_ids":[1],"labels":null})"), "\"labels\" is null");
  EXPECT_EQ(fault(R"({"input_ids":[1,2],"labels":[1]})"),
            "\"labels\" has 1 items, \"input_ids\" 2");
  EXPECT_EQ(fault(R"({"input_ids":[1],"labels":[1,1]})"),
            "\"labels\" has 2 items, \"input_ids\" 1");
  EXPECT_EQ(fault(R"({"input_ids":[1,2],"labels":[1,1]})"),
            "labels[1] is 1, neither its token (2) nor -100");
}

// Pairs and ratings as TRL has them: prompts are never trained on, and what two sides share before
// their first target is written once.
TEST(TokenRowsTest, Preferences) {
  const TokenRow pair = {.tokens = {1, 2, 3, 4, 9, 1, 2, 3, 5, 6, 9},
                         .trained = {0, 0, 0, 1, 1, 0, 0, 0, 1, 0, 1},
                         .rejected = 5,
                         .kind = ExampleKind::kPair};
  std::string text;
  append_token_row(text, pair);
  EXPECT_EQ(text, R"({"prompt_ids":[1,2,3],"chosen_ids":[4,9],"chosen_labels":[4,9],)"
                  R"("rejected_ids":[5,6,9],"rejected_labels":[5,-100,9]})");
  EXPECT_EQ(parse(text), pair);
  EXPECT_EQ(parse(R"({"prompt_ids":[1],"chosen_ids":[2],"rejected_ids":[3,4]})"),
            (TokenRow{.tokens = {1, 2, 1, 3, 4},
                      .trained = {0, 1, 0, 1, 1},
                      .rejected = 2,
                      .kind = ExampleKind::kPair}));
  // The sides share more than the prompt: a target's token is no part of it.
  const TokenRow alike = {.tokens = {1, 7, 8, 1, 7, 8, 8},
                          .trained = {0, 1, 1, 0, 1, 1, 1},
                          .rejected = 3,
                          .kind = ExampleKind::kPair};
  text.clear();
  append_token_row(text, alike);
  EXPECT_TRUE(text.starts_with(R"({"prompt_ids":[1],"chosen_ids":[7,8],)")) << text;
  EXPECT_EQ(parse(text), alike);

  for (const bool desirable : {false, true}) {
    const TokenRow rated = {.tokens = {1, 2, 3, 4},
                            .trained = {0, 0, 1, 0},
                            .kind = ExampleKind::kRated,
                            .desirable = desirable};
    text.clear();
    append_token_row(text, rated);
    EXPECT_EQ(text,
              cat(R"({"prompt_ids":[1,2],"completion_ids":[3,4],)",
                  R"("completion_labels":[3,-100],"label":)", desirable ? "true}" : "false}"));
    EXPECT_EQ(parse(text), rated);
  }
  EXPECT_EQ(fault(R"({"chosen_ids":[],"rejected_ids":[1]})"),
            "a preference pair with an empty side");
  EXPECT_EQ(
      fault(R"({"prompt_ids":[1],"chosen_ids":[2],"chosen_labels":[2,2],"rejected_ids":[1]})"),
      "\"chosen_labels\" has 2 items, \"chosen_ids\" 1");
  EXPECT_EQ(fault(R"({"chosen_ids":[1],"rejected_ids":[1000]})"),
            "rejected_ids[0] is 1000, not in the model's vocabulary of 1000 tokens");
  EXPECT_EQ(fault(R"({"completion_ids":[1],"label":1})"), "\"label\" is no boolean");
}

}  // namespace
}  // namespace nibble
