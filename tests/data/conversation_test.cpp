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
  const auto add = [&](const std::string& before, const Message& m) {
    all.push_back(cat(before, m.role, ": ", m.content, m.input.empty() ? "" : " + ", m.input,
                      m.train ? (*m.train ? " (trained)" : " (not trained)") : "",
                      m.flag ? (*m.flag ? " (flag 1)" : " (flag 0)") : ""));
  };
  for (const Message& m : conversation.messages) add("", m);
  for (const Message& m : conversation.rejected) add("rejected ", m);
  if (conversation.desirable) all.push_back(*conversation.desirable ? "desirable" : "undesirable");
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
  EXPECT_EQ(fault("{}"), "of no known form (it has no fields)");
  EXPECT_EQ(fault(R"({"a":1,"b":2})"), "of no known form (it has \"a\", \"b\")");
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
            "messages[0]: \"content\" is a number, neither text nor a list of parts");
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
  EXPECT_EQ(fault(R"({"conversations":[{"from":"critic","value":"a"}]})"),
            "conversations[0]: from \"critic\", which cannot be read (human, gpt, system, "
            "function_call, observation and tool can)");
}

TEST(ConversationTest, QuestionAndAnswer) {
  EXPECT_EQ(read(R"({"question":"a","answer":"b"})"), (Lines{"user: a", "assistant: b"}));
  EXPECT_EQ(read(R"({"question":"a","answer":"b","system":"s"})"),
            (Lines{"system: s", "user: a", "assistant: b"}));
  EXPECT_EQ(fault(R"({"question":"a","answer":3})"), "\"answer\" is a number, not text");
}

TEST(ConversationTest, ShareGptCallsAndTools) {
  simdjson::dom::parser parser;
  Conversation talk;
  const auto load = [&](const std::string& json) {
    read_conversation(kSharegptForm, Fields(parser.parse(json), own_names()), talk);
  };
  load(R"({"conversations":[{"from":"human","value":"a"},)"
       R"({"from":"function_call","value":"{\"name\":\"f\",\"arguments\":{\"x\":1}}"},)"
       R"({"from":"observation","value":"b"},{"from":"tool","value":{"t":21.5}},)"
       R"({"from":"gpt","value":"c"}],"tools":"[{\"name\":\"f\",\"parameters\":{}}]"})");
  ASSERT_EQ(talk.messages.size(), 5u);
  EXPECT_EQ(talk.messages[1].role, "assistant");
  EXPECT_EQ(Json(talk.messages[1].fields).dump(),
            R"({"tool_calls": [{"type": "function", "function": {"name": "f", )"
            R"("arguments": {"x": 1}}}], "content": null})");
  EXPECT_EQ(talk.messages[2].role, "tool");
  EXPECT_EQ(talk.messages[2].content, "b");
  EXPECT_EQ(talk.messages[3].content, R"({"t": 21.5})");
  EXPECT_EQ(talk.inputs.tools.dump(),
            R"([{"type": "function", "function": {"name": "f", "parameters": {}}}])");
  load(R"({"conversations":[{"from":"human","value":"a"},{"from":"function_call","value":)"
       R"([{"name":"f"},{"name":"g","arguments":"{}"}]}],"tools":"[]"})");
  EXPECT_EQ(talk.messages[1].fields[0].second.as_array().size(), 2u);
  EXPECT_TRUE(talk.inputs.tools.is_null());
  // Turns of OpenAI's kind under ShareGPT's name, and the other way about.
  EXPECT_EQ(read(R"({"conversations":[{"role":"user","content":"a"}]})"), Lines{"user: a"});
  EXPECT_EQ(read(R"({"messages":[{"from":"gpt","value":"a"}]})"), Lines{"assistant: a"});
  for (const char* call : {"\"f(1)\"", R"("{}")", R"({"arguments":{}})", "[7]"})
    EXPECT_TRUE(fault(cat(R"({"conversations":[{"from":"function_call","value":)", call, "}]}"))
                    .starts_with("conversations[0]: no function call: "))
        << call;
}

TEST(ConversationTest, ContentParts) {
  EXPECT_EQ(read(R"({"messages":[{"role":"user","content":[{"type":"text","value":"a"},)"
                 R"({"text":"b"}]}]})"),
            Lines{"user: ab"});
  EXPECT_EQ(fault(R"({"messages":[{"role":"user","content":[{"type":"text"}]}]})"),
            "messages[0]: content[0]: no \"text\"");
  EXPECT_EQ(fault(R"({"messages":[{"role":"user","content":["a"]}]})"),
            "messages[0]: content[0]: expected an object, found text");
}

TEST(ConversationTest, Flags) {
  EXPECT_EQ(read(R"({"messages":[{"role":"assistant","content":"a","weight":0},)"
                 R"({"role":"assistant","content":"b","train":true},)"
                 R"({"role":"assistant","content":"c","training":false},)"
                 R"({"role":"user","content":"d","loss_weight":1.0},)"
                 R"({"role":"user","content":"e","weight":null}]})"),
            (Lines{"assistant: a (flag 0)", "assistant: b (flag 1)", "assistant: c (flag 0)",
                   "user: d (flag 1)", "user: e"}));
  const auto flagged = [](const char* flag) {
    return fault(cat(R"({"messages":[{"role":"user","content":"a",)", flag, "}]}"));
  };
  EXPECT_EQ(flagged(R"("weight":0.5)"),
            "messages[0]: \"weight\" is 0.5; a turn is trained on (1) or not (0)");
  EXPECT_EQ(flagged(R"("train":"yes")"), "messages[0]: \"train\" is text, not 0, 1 or a boolean");
  EXPECT_EQ(flagged(R"("train":true,"weight":0)"),
            "messages[0]: has flags that contradict each other");
}

TEST(ConversationTest, PreferencePairs) {
  const Lines plain = {"plain", "user: p (not trained)", "assistant: c", "rejected assistant: r"};
  const Lines chat = {"user: p (not trained)", "assistant: c", "rejected assistant: r"};
  EXPECT_EQ(read(R"({"prompt":"p","chosen":"c","rejected":"r"})"), plain);
  const std::string user = R"({"role":"user","content":"p"})",
                    c = R"({"role":"assistant","content":"c"})",
                    r = R"({"role":"assistant","content":"r"})";
  const auto with = [](const std::string& prompt, const std::string& chosen,
                       const std::string& rejected) {
    return cat("{", prompt, R"("chosen":)", chosen, R"(,"rejected":)", rejected, "}");
  };
  const auto list = [](const auto&... items) {
    std::string all;
    ((all += cat(all.empty() ? "[" : ",", items)), ...);
    return all + "]";
  };
  EXPECT_EQ(read(with(cat("\"prompt\":", list(user), ","), list(c), list(r))), chat);
  EXPECT_EQ(read(with("", list(user, c), list(user, r))), chat);
  // A prompt beside whole conversations says what they say.
  EXPECT_EQ(read(with(R"("prompt":"p",)", list(user, c), list(user, r))), chat);
  EXPECT_EQ(read(with(R"("prompt":"p",)", list(c), list(r))), chat);
  EXPECT_EQ(read(with(R"("conversations":[{"from":"human","value":"p"}],)",
                      R"({"from":"gpt","value":"c"})", R"({"from":"gpt","value":"r"})")),
            chat);
  EXPECT_EQ(read(R"({"messages":[{"role":"user","content":"p"}],"chosen":"c","rejected":"r"})"),
            chat);
  EXPECT_EQ(read(R"({"question":"p","chosen":"c","rejected":"r"})"), chat);
  EXPECT_EQ(read(R"({"instruction":"p","input":"","chosen":"c","rejected":"r"})"), chat);
  EXPECT_EQ(read(R"({"instruction":"p","input":"i","system":"s","chosen":"c","rejected":"r"})"),
            (Lines{"system: s (not trained)", "user: p + i (not trained)", "assistant: c",
                   "rejected assistant: r"}));
  // Texts without a prompt share one, up to a space and by whole characters.
  EXPECT_EQ(read(R"({"chosen":"Q: a A: yes","rejected":"Q: a A: no"})"),
            (Lines{"plain", "user: Q: a A: (not trained)", "assistant:  yes",
                   "rejected assistant:  no"}));
  EXPECT_EQ(read("{\"chosen\":\"x\xc3\xa9\",\"rejected\":\"x\xc3\xa8\"}"),
            (Lines{"plain", "user: x (not trained)", "assistant: \xc3\xa9",
                   "rejected assistant: \xc3\xa8"}));
  EXPECT_EQ(fault(with("", list(user, c), list(user, c))),
            "chosen and rejected do not differ in an answer");
  EXPECT_EQ(fault(with("", list(user, c), list(c))),
            "chosen and rejected differ before the answer");
  EXPECT_EQ(fault(with("", list(c), list(r))), "a preference pair without a prompt");
  EXPECT_EQ(fault(R"({"prompt":"p","chosen":"c","rejected":7})"),
            "\"rejected\" is a number, not an array");
  EXPECT_EQ(fault(R"({"prompt":"p","chosen":[],"rejected":"r"})"), "\"chosen\" is empty");
}

TEST(ConversationTest, Ratings) {
  EXPECT_EQ(read(R"({"prompt":"p","completion":"c","label":true})"),
            (Lines{"plain", "user: p", "assistant: c", "desirable"}));
  for (const char* tag : {R"("label":false)", R"("kto_tag":false)", R"("label":"undesirable")",
                          R"("kto_tag":"False")"})
    EXPECT_EQ(read(cat(R"({"messages":[{"role":"user","content":"a"}],)", tag, "}")),
              (Lines{"user: a", "undesirable"}));
  EXPECT_EQ(read(R"({"instruction":"a","output":"b","kto_tag":"desirable"})"),
            (Lines{"user: a", "assistant: b", "desirable"}));
  // Classes are no ratings.
  EXPECT_EQ(read(R"({"text":"a","label":1})"), (Lines{"plain", "assistant: a"}));
  EXPECT_EQ(read(R"({"text":"a","label":"spam"})"), (Lines{"plain", "assistant: a"}));
  EXPECT_EQ(fault(R"({"text":"a","kto_tag":1})"),
            "\"kto_tag\" is a number, neither true (desirable) nor false (undesirable)");
  EXPECT_EQ(fault(R"({"label":true})"), "rated, but of no known form besides (it has \"label\")");
  EXPECT_EQ(fault(R"({"prompt":"a","chosen":"b","rejected":"c","label":true})"),
            "a preference pair and rated besides");
  // Asked for by name, a record is read as its form is.
  EXPECT_EQ(read(R"({"text":"a","label":true})", &kTextForm), (Lines{"plain", "assistant: a"}));
}

// The paths of a tree, one conversation each, turns joined by |.
Lines paths_of(const std::string& json, Paths paths, int64_t left_out = 0) {
  simdjson::dom::parser parser;
  const Fields fields(parser.parse(json), own_names());
  Conversations found;
  read_conversations(detect_form(fields), fields, paths, found);
  EXPECT_EQ(found.left_out, left_out);
  Lines all;
  for (const Conversation& c : found.all) {
    std::string path;
    for (const Message& m : c.messages)
      path += cat(path.empty() ? "" : "|", m.role == "user" ? "" : "=", m.content,
                  m.train ? "(once)" : "");
    all.push_back(path);
  }
  return all;
}

constexpr const char* kTree =
    R"({"prompt":{"role":"prompter","text":"a","replies":[)"
    R"({"role":"assistant","text":"b","rank":1,"replies":[{"role":"prompter","text":"x"}]},)"
    R"({"role":"assistant","text":"c","rank":0,"replies":[)"
    R"({"role":"prompter","text":"d","replies":[)"
    R"({"role":"assistant","text":"e","replies":[]},{"role":"assistant","text":"f","score":1}]},)"
    R"({"role":"prompter","text":"g","replies":[{"role":"assistant","text":"h"}]}]},)"
    R"({"role":"assistant","text":"i","rank":2,"deleted":true}]}})";

TEST(OasstTest, Trees) {
  EXPECT_EQ(paths_of(kTree, Paths::kBest, 1), Lines{"a|=c|d|=f"});
  EXPECT_EQ(paths_of(kTree, Paths::kAll, 1),
            (Lines{"a|=b", "a|=c|d|=e", "a|=c(once)|d|=f", "a|=c(once)|g|=h"}));
  EXPECT_EQ(paths_of(R"({"role":"prompter","text":"a","replies":[]})", Paths::kBest), Lines{});
  EXPECT_EQ(fault(R"({"role":"prompter","text":"a","replies":[{"text":"b"}]})"),
            "replies[0]: no \"role\"");
  EXPECT_EQ(fault(R"({"role":"critic","text":"a","replies":[]})"),
            "role \"critic\" is none of prompter, assistant and system");
  EXPECT_EQ(fault(R"({"role":"prompter","text":"a","replies":[]})"), "a tree without an answer");
  std::string deep = R"({"role":"assistant","text":"z"})";
  for (int i = 0; i < 400; ++i)
    deep = cat(R"({"role":"prompter","text":"a","replies":[)", deep, "]}");
  EXPECT_EQ(paths_of(deep, Paths::kAll).size(), 1u);
}

TEST(OasstTest, Rows) {
  const auto row = [](const char* id, const char* parent, const char* role, const char* text) {
    return cat(R"({"message_id":")", id, R"(","parent_id":)", parent, R"(,"role":")", role,
               R"(","text":")", text, "\"}");
  };
  const auto tree = [](const auto&... rows) {
    std::string all;
    ((all += cat(all.empty() ? "" : ",", rows)), ...);
    return cat(R"({"message_tree":[)", all, "]}");
  };
  const std::string a = row("1", "null", "prompter", "a"), b = row("2", "\"1\"", "assistant", "b"),
                    c = row("3", "\"1\"", "assistant", "c");
  EXPECT_EQ(paths_of(tree(a, b, c), Paths::kAll), (Lines{"a|=b", "a|=c"}));
  EXPECT_EQ(paths_of(tree(a, b, c), Paths::kBest), Lines{"a|=b"});
  EXPECT_EQ(fault(tree(b, a)), "message 1 of the tree: it stands before its parent");
  EXPECT_EQ(fault(tree(b)),
            "message 1 of the tree: its parent \"1\" is not among the tree's messages; rows of one "
            "tree must stand together");
  EXPECT_EQ(fault(tree(a, b, a)), "message 3 of the tree: its \"message_id\" \"1\" is there twice");
  EXPECT_EQ(fault(tree(a, row("2", "\"3\"", "assistant", "b"), c)),
            "message 2 of the tree: it stands before its parent");
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
  EXPECT_THROW(to_example(rules, talk), DataError);
  talk.inputs = {};
  EXPECT_THROW(to_example(rules, talk), DataError);
  rules.chat = chat_template_from_jinja(
      "{% for m in messages %}<{{ m.role }}>{{ m.content or m.tool_calls|tojson }}{% endfor %}", "",
      "", "own");
  const std::vector<Segment> segments = to_example(rules, talk).segments;
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
  EXPECT_THROW(form_by_name("orca"), UsageError);
}

// "[prompt](answer)", brackets for what is not trained on and parentheses for what is.
std::string marked(const SegmentRules& rules, const Conversation& conversation) {
  Conversation copy = conversation;
  std::string all;
  for (const Segment& s : to_example(rules, copy).segments)
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
  EXPECT_THROW(to_example(none, talk), UnavailableError);
  EXPECT_EQ(rules_for_template("llama-2", "").eos, "</s>");
}

TEST(SegmentsTest, Flags) {
  const Conversation talk = {.messages = {{.role = "user", .content = "a", .flag = true},
                                          {.role = "assistant", .content = "b", .flag = false},
                                          {.role = "user", .content = "c"},
                                          {.role = "assistant", .content = "d"}}};
  const std::string by_flags =
      "[<|im_start|>user\n](a<|im_end|>)[\n<|im_start|>assistant\nb<|im_end|>\n<|im_start|>user\n"
      "c<|im_end|>\n<|im_start|>assistant\n](d<|im_end|>)[\n]";
  EXPECT_EQ(marked(rules_with("flags"), talk), by_flags);
  SegmentRules rules = rules_for_template("chatml", "");
  EXPECT_EQ(marked(rules, talk), by_flags);  // unless told otherwise
  ExampleNotes notes;
  Conversation copy = talk;
  to_example(rules, copy, &notes);
  EXPECT_EQ(notes.flags, 2);
  EXPECT_EQ(notes.flags_overridden, 0);
  notes = {};
  copy = talk;
  to_example(rules_with("assistant"), copy, &notes);
  EXPECT_EQ(notes.flags_overridden, 2);
}

TEST(SegmentsTest, RolesAndOrder) {
  const auto fault_of = [](std::vector<const char*> roles, bool any_order = false) {
    SegmentRules rules = rules_for_template("chatml", "");
    rules.any_order = any_order;
    Conversation talk;
    for (const char* role : roles) talk.messages.push_back({.role = role, .content = "a"});
    try {
      to_example(rules, talk);
    } catch (const DataError& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  const std::string remedy = "; --any-order takes turns in any order";
  EXPECT_EQ(fault_of({"system", "user", "assistant", "user", "assistant", "user"}), "");
  EXPECT_EQ(fault_of({"user", "assistant", "tool", "tool", "assistant"}), "");
  EXPECT_EQ(fault_of({"developer", "user"}), "");
  EXPECT_EQ(fault_of({"user", "user"}), "message 2 (user) follows another of user" + remedy);
  EXPECT_EQ(fault_of({"user", "assistant", "assistant"}),
            "message 3 (assistant) follows another of assistant" + remedy);
  EXPECT_EQ(fault_of({"assistant", "user"}),
            "message 1 (assistant) comes before any of user" + remedy);
  EXPECT_EQ(fault_of({"user", "system"}),
            "message 2 (system) comes after the conversation's begin" + remedy);
  EXPECT_EQ(fault_of({"system", "system", "user"}),
            "message 2 (system) follows another of system" + remedy);
  EXPECT_EQ(fault_of({"user", "tool"}),
            "message 2 (tool) answers no call: nothing of assistant stands before it" + remedy);
  for (const auto& roles : {std::vector{"user", "user"}, {"assistant"}, {"user", "system"}})
    EXPECT_EQ(fault_of(roles, true), "");
  EXPECT_EQ(fault_of({"user", "asistant"}, true),
            "message 2: role \"asistant\" is none of system, user, assistant and tool, and the "
            "template does not name it");
}

TEST(SegmentsTest, PairsInATemplate) {
  Conversation talk = {.messages = {{.role = "user", .content = "a", .train = false},
                                    {.role = "assistant", .content = "x", .train = false},
                                    {.role = "user", .content = "b", .train = false},
                                    {.role = "assistant", .content = "c"}},
                       .rejected = {{.role = "assistant", .content = "r"}},
                       .answer = 3};
  const SegmentedExample example = to_example(rules_with("flags"), talk);
  const std::string prompt =
      "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nx<|im_end|>\n<|im_start|>user\nb"
      "<|im_end|>\n<|im_start|>assistant\n";
  EXPECT_EQ(example.kind(), ExampleKind::kPair);
  EXPECT_EQ(example.segments,
            (std::vector<Segment>{{false, prompt}, {true, "c<|im_end|>"}, {false, "\n"}}));
  EXPECT_EQ(example.rejected,
            (std::vector<Segment>{{false, prompt}, {true, "r<|im_end|>"}, {false, "\n"}}));
  EXPECT_THROW(to_example(rules_with("all"), talk), UsageError);
}

TEST(SegmentsTest, ASystemMessageThatIsLost) {
  SegmentRules rules;
  rules.chat = chat_template_from_jinja(
      "{% for m in messages %}{% if m.role != 'system' %}<{{ m.role }}>{{ m.content }}{% endif %}"
      "{% endfor %}",
      "", "", "own");
  ExampleNotes notes;
  Conversation talk = {.messages = {{.role = "system", .content = " be brief "},
                                    {.role = "user", .content = "a"},
                                    {.role = "assistant", .content = "b"}}};
  Conversation copy = talk;
  to_example(rules, copy, &notes);
  EXPECT_TRUE(notes.system_lost);
  notes = {};
  to_example(rules_with("flags", "llama-2"), talk, &notes);
  EXPECT_FALSE(notes.system_lost);
}

SegmentedExample parsed(std::string json) {
  const size_t size = json.size();
  json.append(64, '\0');
  SegmentedExample example;
  parse_example(std::string_view(json).substr(0, size), example);
  return example;
}

TEST(ExampleTest, Json) {
  const SegmentedExample plain = {.segments = {{false, "a\"\n"}, {true, "\xc3\xa9"}}};
  std::string out;
  append_example(out, plain);
  EXPECT_EQ(out,
            "{\"segments\":[{\"label\":false,\"text\":\"a\\\"\\n\"},"
            "{\"label\":true,\"text\":\"\xc3\xa9\"}]}");
  EXPECT_EQ(parsed(out), plain);
  SegmentedExample rated = plain;
  rated.desirable = false;
  out.clear();
  append_example(out, rated);
  EXPECT_TRUE(out.ends_with(",\"label\":false}")) << out;
  EXPECT_EQ(parsed(out), rated);
  const SegmentedExample pair = {.segments = {{true, "c"}}, .rejected = {{true, "r"}}};
  out.clear();
  append_example(out, pair);
  EXPECT_EQ(out,
            R"({"chosen":[{"label":true,"text":"c"}],"rejected":[{"label":true,"text":"r"}]})");
  EXPECT_EQ(parsed(out), pair);
  EXPECT_TRUE(pair.trained());
  EXPECT_FALSE((SegmentedExample{.segments = {{true, "c"}}, .rejected = {{false, "r"}}}).trained());
  EXPECT_THROW(parsed(R"({"chosen":[],"rejected":[]})"), DataError);
  EXPECT_THROW(parsed(R"({"segments":[],"label":"good"})"), DataError);
}

}  // namespace
}  // namespace nibble
