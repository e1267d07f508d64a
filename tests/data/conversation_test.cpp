// SPDX-License-Identifier: Apache-2.0
#include "data/conversation.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "data/segments.h"

namespace nibble {
namespace {

// The record's conversation, by --from=auto or as `form`, one "role: content" each.
std::vector<std::string> read(const std::string& json, const Form* form = nullptr,
                              const FieldNames& names = {}) {
  simdjson::dom::parser parser;
  const Fields fields(parser.parse(json), names);
  Conversation conversation;
  read_conversation(form ? *form : detect_form(fields), fields, conversation);
  std::vector<std::string> all;
  if (conversation.plain) all.push_back("plain");
  for (const Message& m : conversation.messages)
    all.push_back(cat(m.role, ": ", m.content, m.input.empty() ? "" : " + ", m.input,
                      m.train ? (*m.train ? " (trained)" : " (not trained)") : ""));
  return all;
}

std::string fault(const std::string& json, const Form* form = nullptr,
                  const FieldNames& names = {}) {
  try {
    read(json, form, names);
  } catch (const DataError& e) {
    return e.what();
  }
  return "";
}

using Lines = std::vector<std::string>;

TEST(ConversationTest, Forms) {
  EXPECT_EQ(read(R"({"instruction":"Add.","input":"1 2","output":"3"})"),
            (Lines{"user: Add. + 1 2", "assistant: 3"}));
  EXPECT_EQ(read(R"({"instruction":"Hi","input":null,"output":"Yo"})"),
            (Lines{"user: Hi", "assistant: Yo"}));
  EXPECT_EQ(read(R"({"instruction":"c","output":"d","system":"s","history":[["a","b"]]})"),
            (Lines{"system: s", "user: a", "assistant: b", "user: c", "assistant: d"}));
  EXPECT_EQ(read(R"({"messages":[{"role":"system","content":"s"},{"role":"user","content":"a"},)"
                 R"({"role":"assistant","content":"b"}]})"),
            (Lines{"system: s", "user: a", "assistant: b"}));
  EXPECT_EQ(read(R"({"messages":[{"role":"user","content":[{"type":"text","text":"a"},)"
                 R"({"type":"text","text":"b"}]}],"completion":"c"})"),
            (Lines{"user: ab", "assistant: c"}));
  EXPECT_EQ(read(R"({"conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"b"}],)"
                 R"("system":"s"})"),
            (Lines{"system: s", "user: a", "assistant: b"}));
  EXPECT_EQ(read(R"({"prompt":"a","completion":"b"})"),
            (Lines{"plain", "user: a", "assistant: b"}));
  EXPECT_EQ(
      read(R"({"prompt":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},)"
           R"({"role":"user","content":"c"}],"completion":[{"role":"assistant","content":"d"}]})"),
      (Lines{"user: a", "assistant: b (not trained)", "user: c", "assistant: d"}));
  EXPECT_EQ(read(R"({"text":"once"})"), (Lines{"plain", "assistant: once"}));
}

TEST(ConversationTest, FieldsByOtherNames) {
  const std::vector<std::string> pairs = {"instruction:question", "output:answer"};
  EXPECT_EQ(read(R"({"question":"a","answer":"b"})", &kAlpacaForm, parse_field_names(pairs)),
            (Lines{"user: a", "assistant: b"}));
  const FieldNames names = {{"text", "document"}};
  EXPECT_EQ(read(R"({"document":"d"})", nullptr, names), (Lines{"plain", "assistant: d"}));
  EXPECT_EQ(fault(R"({"document":7})", nullptr, names), "\"document\" is a number, not text");
  EXPECT_EQ(fault(R"({"text":"d"})", &kTextForm, names), "no \"document\"");
  for (const char* bad : {"", "a", ":b", "a:"}) {
    const std::vector<std::string> pair = {bad};
    EXPECT_THROW(parse_field_names(pair), UsageError) << bad;
  }
}

TEST(ConversationTest, NamesFaults) {
  EXPECT_EQ(fault("7"), "expected an object, found a number");
  EXPECT_EQ(fault("[]"), "expected an object, found an array");
  EXPECT_EQ(fault("{}"), "of no known form (it has no fields); name its fields with --fields");
  EXPECT_EQ(fault(R"({"a":1,"b":2})"),
            "of no known form (it has \"a\", \"b\"); name its fields with --fields");
  EXPECT_EQ(fault(R"({"instruction":"a"})"), "no \"output\"");
  EXPECT_EQ(fault(R"({"instruction":"a","output":null})"), "\"output\" is null");
  EXPECT_EQ(fault(R"({"instruction":"a","output":["b"]})"), "\"output\" is an array, not text");
  EXPECT_EQ(fault(R"({"instruction":"a","output":"b","history":[["a"]]})"),
            "\"history\" is not a list of [question, answer]");
  EXPECT_EQ(fault(R"({"messages":[]})"), "\"messages\" is empty");
  EXPECT_EQ(fault(R"({"messages":"a"})"), "\"messages\" is text, not an array");
  EXPECT_EQ(fault(R"({"messages":["a"]})"), "messages[0]: expected an object, found text");
  EXPECT_EQ(fault(R"({"messages":[{"content":"a"}]})"), "messages[0]: no \"role\"");
  EXPECT_EQ(fault(R"({"messages":[{"role":"user","content":"a"},{"role":"user"}]})"),
            "messages[1]: no \"content\"");
  EXPECT_EQ(fault(R"({"messages":[{"role":"user","content":7}]})"),
            "messages[0]: \"content\" is a number, not an array");
  EXPECT_EQ(fault(R"({"messages":[{"role":"user","content":[{"type":"image_url"}]}]})"),
            "messages[0]: content[0]: is of type \"image_url\", and only text can be read");
  EXPECT_EQ(fault(R"({"prompt":"a"})"), "no \"completion\"");
  EXPECT_EQ(fault(R"({"conversations":[]})"), "\"conversations\" is empty");
}

TEST(ConversationTest, RefusesWhatWouldBeReadWrongly) {
  EXPECT_EQ(fault(R"({"messages":[{"role":"assistant","content":"","function_call":{}}]})"),
            "messages[0]: has \"function_call\", which cannot be read; write it as \"tool_calls\"");
  EXPECT_EQ(fault(R"({"messages":[{"role":"user","content":"a"}],"tools":{}})"),
            "\"tools\" is no list");
  EXPECT_EQ(
      fault(R"({"conversations":[{"from":"function_call","value":"a"}]})"),
      "conversations[0]: from \"function_call\", which cannot be read (human, gpt and system can)");
  for (const Form* form : {static_cast<const Form*>(nullptr), &kMessagesForm}) {
    EXPECT_EQ(fault(R"({"messages":[{"role":"user","content":"a"}],"label":false})", form),
              "rated by a boolean \"label\" (KTO), which is not a form to fine-tune on");
    EXPECT_EQ(fault(R"({"prompt":"a","chosen":"b","rejected":"c"})", form),
              "a preference pair (\"chosen\", \"rejected\"), which is not a form to fine-tune on");
  }
}

TEST(ConversationTest, ToolsAndOtherMembersAreTheTemplates) {
  const std::string record =
      R"({"messages":[{"role":"user","content":"a","name":"n"},{"role":"assistant","content":null,)"
      R"("tool_calls":[{"function":{"name":"f","arguments":{}}}]},{"role":"tool","content":"b"}],)"
      R"("tools":[{"name":"f"}],"documents":"[{\"text\":\"t\"}]"})";
  simdjson::dom::parser parser;
  const FieldNames names;
  const Fields fields(parser.parse(record), names);
  Conversation talk;
  read_conversation(kMessagesForm, fields, talk);
  ASSERT_EQ(talk.messages.size(), 3u);
  EXPECT_EQ(Json(talk.messages[0].fields).dump(), R"({"name": "n"})");
  EXPECT_EQ(Json(talk.messages[1].fields).dump(),
            R"({"tool_calls": [{"function": {"name": "f", "arguments": {}}}], "content": null})");
  EXPECT_EQ(talk.inputs.tools.dump(), R"([{"name": "f"}])");
  EXPECT_EQ(talk.inputs.documents.dump(), R"([{"text": "t"}])");

  // A template that has no place for them would lose them.
  SegmentRules rules;
  rules.chat = chat_template_by_name("chatml");
  EXPECT_THROW(to_segments(rules, talk), DataError);
  talk.inputs = {};
  EXPECT_THROW(to_segments(rules, talk), DataError);
  rules.chat = chat_template_from_jinja(
      "{% for m in messages %}<{{ m.role }}>{{ m.content or m.tool_calls|tojson }}{% endfor %}", "",
      "", "own");
  const std::vector<Segment> segments = to_segments(rules, talk);
  ASSERT_EQ(segments.size(), 3u);
  EXPECT_EQ(segments[0].text, "<user>a<assistant>");
  EXPECT_EQ(segments[1], (Segment{true, R"([{"function": {"name": "f", "arguments": {}}}])"}));
  read_conversation(kMessagesForm,
                    Fields(parser.parse(std::string_view(
                               R"({"messages":[{"role":"user","content":"a"}],"tools":[]})")),
                           names),
                    talk);
  EXPECT_TRUE(talk.inputs.tools.is_null());
}

TEST(ConversationTest, FormsByName) {
  for (const Form* form : forms()) EXPECT_EQ(&form_by_name(form->name), form);
  EXPECT_THROW(form_by_name("oasst"), UsageError);
}

// "[prompt](answer)", brackets for what is not trained on and parentheses for what is.
std::string marked(const SegmentRules& rules, const Conversation& conversation) {
  Conversation copy = conversation;
  std::string all;
  for (const Segment& s : to_segments(rules, copy))
    all += s.label ? cat("(", s.text, ")") : cat("[", s.text, "]");
  return all;
}

SegmentRules rules_with(const char* train_on, const char* chat = "chatml") {
  SegmentRules rules = rules_for_template(chat, "");
  rules.train_on = parse_train_on(train_on);
  return rules;
}

TEST(SegmentsTest, TrainOn) {
  const Conversation talk = {.messages = {{.role = "user", .content = "a"},
                                          {.role = "assistant", .content = "b"},
                                          {.role = "user", .content = "c"},
                                          {.role = "assistant", .content = "d"}}};
  const auto user = [](std::string text) {
    return cat("<|im_start|>user\n", text, "<|im_end|>\n");
  };
  const std::string answer = "<|im_start|>assistant\n";
  EXPECT_EQ(marked(rules_with("assistant"), talk), cat("[", user("a"), answer, "](b<|im_end|>)[\n",
                                                       user("c"), answer, "](d<|im_end|>)[\n]"));
  EXPECT_EQ(marked(rules_with("last"), talk),
            cat("[", user("a"), answer, "b<|im_end|>\n", user("c"), answer, "](d<|im_end|>)[\n]"));
  EXPECT_EQ(marked(rules_with("all"), talk),
            cat("(", user("a"), answer, "b<|im_end|>\n", user("c"), answer, "d<|im_end|>\n)"));
  EXPECT_EQ(marked(rules_with("roles:user"), talk),
            cat("[<|im_start|>user\n](a<|im_end|>)[\n", answer, "b<|im_end|>\n<|im_start|>user\n]",
                "(c<|im_end|>)[\n", answer, "d<|im_end|>\n]"));
  for (const char* bad : {"", "none", "roles", "roles:"})
    EXPECT_THROW(parse_train_on(bad), UsageError) << bad;
}

TEST(SegmentsTest, PlainTextEndsWithEos) {
  const Conversation pair = {
      .messages = {{.role = "user", .content = "a"}, {.role = "assistant", .content = "b"}},
      .plain = true};
  SegmentRules rules;
  EXPECT_EQ(marked(rules, pair), "[a](b)");
  rules.eos = "</s>";
  EXPECT_EQ(marked(rules, pair), "[a](b</s>)");
  rules.train_on = parse_train_on("all");
  EXPECT_EQ(marked(rules, pair), "(ab</s>)");
  rules.train_on = parse_train_on("roles:user");
  EXPECT_EQ(marked(rules, pair), "(a)[b]");
  rules.train_on = {};
  Conversation ended = pair;
  ended.messages[1].content = "b</s>";
  EXPECT_EQ(marked(rules, ended), "[a](b</s>)");
  EXPECT_EQ(marked(rules, {.messages = {{.role = "assistant", .content = ""}}, .plain = true}), "");
}

TEST(SegmentsTest, Templates) {
  EXPECT_THROW(rules_for_template("no-such", ""), UsageError);
  Conversation talk = {.messages = {{.role = "user", .content = "a"}}};
  const SegmentRules none = rules_for_template("", "");
  EXPECT_THROW(to_segments(none, talk), UnavailableError);
  EXPECT_EQ(rules_for_template("llama-2", "").eos, "</s>");
}

TEST(SegmentsTest, Json) {
  std::string out;
  append_segments(out, {{false, "a\"\n"}, {true, "\xc3\xa9"}});
  EXPECT_EQ(out,
            "{\"segments\":[{\"label\":false,\"text\":\"a\\\"\\n\"},"
            "{\"label\":true,\"text\":\"\xc3\xa9\"}]}");
}

}  // namespace
}  // namespace nibble
