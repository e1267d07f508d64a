// SPDX-License-Identifier: Apache-2.0
#include "data/condition.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace nibble {
namespace {

TEST(Condition, HoldsOrNot) {
  const std::string record =
      R"({"lang":"en","score":4.5,"votes":"12","flag":true,"none":null,"empty":"",)"
      R"("text":"Draw a\nGraph","messages":[{"role":"user"},{"role":"tool"}],"a=b":1})" +
      std::string(64, ' ');
  const simdjson::dom::element object = parse_object(record);
  struct {
    const char* condition;
    bool holds;
  } const cases[] = {
      {"lang", true},
      {"!lang", false},
      {"none", false},
      {"!none", true},
      {"absent", false},
      {"!absent", true},
      {"empty", true},
      {"lang=en", true},
      {"lang=e", false},
      {"lang!=en", false},
      {"lang!=de", true},
      {"absent=x", false},
      {"absent!=x", true},
      {"empty=", true},
      {"lang=", false},
      {"lang!=", true},
      {"score=4.5", true},
      {"score=4.50", true},
      {"score=four", false},
      {"score>4", true},
      {"score>4.5", false},
      {"score>=4.5", true},
      {"score<5", true},
      {"score<4.5", false},
      {"score<=4.5", true},
      {"votes>9", true},
      {"votes=12", true},
      {"votes=12.0", false},
      {"lang>0", false},
      {"lang<0", false},
      {"absent<1", false},
      {"flag=true", true},
      {"flag=false", false},
      {"flag>0", false},
      {"text~[Gg]raph", true},
      {"text~^Graph", false},
      {"text~(?m)^Graph$", true},
      {"text~(?i)\\bGRAPH\\b", true},
      {"text!~image|graph", true},
      {"text!~Graph", false},
      {"absent~x", false},
      {"absent!~x", true},
      {"score~4", false},
      {"messages.role=tool", true},
      {"messages[0].role=tool", false},
      {"messages.role!=tool", false},
      {"messages.role!=system", true},
      {"messages[2]", false},
      {"text~a=b", false},
  };
  for (const auto& c : cases)
    EXPECT_EQ(Condition(c.condition).holds(object), c.holds) << c.condition;
}

TEST(Condition, ThatAreNoneAreRefused) {
  for (const char* wrong :
       {"", "!", "=", "=x", "<5", "a<", "a<x", "a>=", "a~(", "a..b=1", "!=x", "a~\\C"})
    EXPECT_THROW(Condition condition(wrong), UsageError) << wrong;
}

TEST(Condition, WithoutEndIsBadData) {
  const std::string record = "{\"a\":\"" + std::string(60, 'x') + "zy\"}" + std::string(64, ' ');
  EXPECT_THROW(Condition("a~(x+x+)+y").holds(parse_object(record)), DataError);
}

}  // namespace
}  // namespace nibble
