// SPDX-License-Identifier: Apache-2.0
// Records of real forms with bytes changed, cut out and doubled: what comes of them is a result or
// a DataError, and never more text than went in.
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/rng.h"
#include "data/conversation.h"
#include "data/records.h"
#include "data/segments.h"
#include "data/token_rows.h"

namespace nibble {
namespace {

constexpr const char* kSeeds[] = {
    R"({"instruction":"a","input":"b","output":"c","system":"s","history":[["x","y"],["z","w"]]})",
    R"({"messages":[{"role":"user","content":[{"type":"text","text":"a"}]},)"
    R"({"role":"assistant","content":"\u00e9\ud83d\ude00"}],"tools":[],"completion":"b"})",
    R"({"conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"b"}],"id":1e9})",
    R"({"prompt":[{"role":"user","content":"a"}],"completion":"b","label":null})",
    R"({"prompt":"p\n","completion":"c\u0000"})",
    R"({"text":"t\\\"","chosen":1})",
    R"({"input_ids":[1,2,3,4,5],"labels":[-100,-100,3,4,5]})",
    R"({"conversations":[{"from":"human","value":"a"},{"from":"function_call","value":)"
    R"("{\"name\":\"f\",\"arguments\":{\"x\":[1]}}"},{"from":"observation","value":"b"},)"
    R"({"from":"gpt","value":"c"}],"tools":"[{\"name\":\"f\"}]"})",
    R"({"prompt":"p","chosen":"c","rejected":"r","system":"s"})",
    R"({"chosen":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}],)"
    R"("rejected":[{"role":"user","content":"a"},{"role":"assistant","content":"c"}]})",
    R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","weight":0}],)"
    R"("kto_tag":"desirable"})",
    R"({"message_tree":[{"message_id":"a","parent_id":null,"role":"prompter","text":"x"},)"
    R"({"message_id":"b","parent_id":"a","role":"assistant","text":"y","rank":0},)"
    R"({"message_id":"c","parent_id":"b","role":"prompter","text":"z","deleted":true}]})",
    R"({"prompt":{"role":"prompter","text":"x","replies":[{"role":"assistant","text":"y",)"
    R"("rank":1,"replies":[]},{"role":"assistant","text":"z","score":2.5}]}})",
    R"({"question":"q","answer":"a"})",
    R"({"prompt_ids":[1,2],"chosen_ids":[3],"chosen_labels":[3],"rejected_ids":[4,5]})",
    R"({"prompt_ids":[1,2],"completion_ids":[3],"label":true})",
    R"({"chosen":[{"label":true,"text":"a"}],"rejected":[{"label":true,"text":"b"}]})",
    R"({"segments":[{"label":false,"text":"a"},{"label":true,"text":"b"}],"label":false})",
};

std::string mutated(std::string text, Rng& rng) {
  static constexpr std::string_view kTelling = "{}[]\",:\\0-9enul\n\x80\xff\x00 ";
  for (uint64_t changes = 1 + rng.below(4); changes > 0 && !text.empty(); --changes) {
    const size_t at = rng.below(text.size());
    switch (rng.below(4)) {
      case 0:
        text[at] = kTelling[rng.below(kTelling.size())];
        break;
      case 1:
        text[at] = static_cast<char>(rng.below(256));
        break;
      case 2:
        text.erase(at, rng.below(8));
        break;
      default:
        text.insert(at, text.substr(at, rng.below(24)));
    }
  }
  return text;
}

TEST(HostileTest, RecordsGiveAResultOrADataError) {
  Rng rng(2024);
  const SegmentRules chat = rules_for_template("llama-2", "");
  const FieldNames names;
  int64_t read = 0, refused = 0;
  for (int i = 0; i < 60000; ++i) {
    std::string text = mutated(kSeeds[rng.below(std::size(kSeeds))], rng);
    const size_t size = text.size();
    text.append(64, '\xff');
    const auto record = std::string_view(text).substr(0, size);
    try {
      const Fields fields(parse_record(record), names);
      Conversations found;
      read_conversations(detect_form(fields), fields, i % 2 ? Paths::kAll : Paths::kBest, found);
      for (Conversation& conversation : found.all) to_example(chat, conversation);
      ++read;
    } catch (const DataError& e) {
      ASSERT_LT(std::string_view(e.what()).size(), 400 + size) << e.what();
      ++refused;
    }
    try {
      SegmentedExample example;
      parse_example(record, example);
      ++read;
    } catch (const DataError&) {
      ++refused;
    }
    try {
      TokenRow row;
      parse_token_row(record, 100, row);
      ASSERT_EQ(row.tokens.size(), row.trained.size());
      ++read;
    } catch (const DataError&) {
      ++refused;
    }
  }
  EXPECT_GT(read, 1000);
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace nibble
