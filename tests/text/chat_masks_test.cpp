// SPDX-License-Identifier: Apache-2.0
// What of a conversation is trained on, as the rendering of its template shows.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "io/file.h"
#include "text/chat_template.h"

namespace nibble {
namespace {

using Messages = std::vector<Message>;
using Texts = std::vector<std::string>;

ChatTemplate of(std::string_view source) {
  return chat_template_from_jinja(source, "<s>", "</s>", "own.jinja");
}

Texts learnt(const ChatTemplate& chat, const Messages& messages, const ChatInputs& inputs = {},
             bool prompts = false) {
  Texts texts;
  const auto segments = render(chat, messages, prompts, inputs);
  EXPECT_EQ(joined_text(segments), render_text(chat, messages, prompts, inputs));
  for (const Segment& s : segments)
    if (s.label) texts.push_back(s.text);
  return texts;
}

std::string refusal(const ChatTemplate& chat) {
  try {
    check_masks(chat);
    return "";
  } catch (const UnavailableError& e) {
    return e.what();
  }
}

const Messages kTalk = {
    {"system", "S"}, {"user", "q1"}, {"assistant", "a1"}, {"user", "q2"}, {"assistant", "a2"}};

TEST(ChatMasks, ByWhereTheLoopStood) {
  const char* const kLoops[] = {
      "{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>\n{% endfor %}"
      "{% if add_generation_prompt %}<assistant>{% endif %}",
      // a slice, a filter, a macro, and a first loop that writes nothing
      "{% macro turn(m) %}<{{ m.role }}>{{ m.content }}<end>\n{% endmacro %}"
      "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}"
      "<system>S<end>\n{% for m in messages[1:] if m.role != 'tool' %}{{ turn(m) }}{% endfor %}"
      "{{ '<assistant>' if add_generation_prompt }}",
      // without a generation prompt
      "{% for m in messages %}{{ '<' ~ m.role ~ '>' ~ m.content ~ '<end>\n' }}{% endfor %}",
  };
  for (const char* source : kLoops) {
    EXPECT_EQ(learnt(of(source), kTalk), (Texts{"a1<end>", "a2<end>"})) << source;
    EXPECT_EQ(refusal(of(source)), "") << source;
    EXPECT_EQ(end_of_turn(of(source)), "<end>");
  }
}

// A template may write what a tool gave in the turn that called it, and go on with the answer in
// the same turn: the model wrote the call and the answer, and not what is between.
TEST(ChatMasks, ToolResultsInsideAnAssistantsTurn) {
  const ChatTemplate chat =
      of("{% for m in messages %}{% if m.role != 'tool' %}"
         "{% set again = loop.index0 > 0 and messages[loop.index0 - 1].role == 'tool' %}"
         "{% if not again %}<{{ m.role }}>{% endif %}{{ m.content }}"
         "{% if m.tool_calls %}<call>{% for k in range(loop.index, messages|length) %}"
         "{% if messages[k].role == 'tool' %}<given>{{ messages[k].content }}</given>{% endif %}"
         "{% endfor %}{% else %}<end>\n{% endif %}{% endif %}{% endfor %}"
         "{% if add_generation_prompt and messages[-1].role != 'tool' %}<assistant>{% endif %}");
  const Message call = {
      .role = "assistant", .content = "c", .fields = {{"tool_calls", Json::array({Json("f")})}}};
  const Messages talk = {{"user", "q"},      call,          {"tool", "t1"},    {"tool", "t2"},
                         {"assistant", "a"}, {"user", "r"}, {"assistant", ""}, {"user", "s"},
                         {"assistant", "b"}};
  EXPECT_EQ(learnt(chat, talk), (Texts{"c<call>", "a<end>", "<end>", "b<end>"}));
}

TEST(ChatMasks, WithoutALoopOverMessagesByBeginnings) {
  const ChatTemplate chat =
      of("{% for i in range(messages|length) %}<{{ messages[i].role }}>{{ messages[i].content }}"
         "<end>\n{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}");
  EXPECT_EQ(learnt(chat, kTalk), (Texts{"a1<end>", "a2<end>"}));
  EXPECT_EQ(refusal(chat), "");
}

TEST(ChatMasks, WhatCannotBeFoundIsRefusedByName) {
  for (const char* source :
       {"{{ messages }}",
        "{{ messages|length }}{% for i in range(messages|length) %}{{ messages[i].content }}"
        "{% endfor %}",
        "{% for m in messages %}{{ m.content }}{% endfor %}{% for m in messages %}{{ m.content }}"
        "{% endfor %}"}) {
    const std::string why = refusal(of(source));
    EXPECT_NE(why.find("own.jinja"), std::string::npos) << source;
    EXPECT_NE(why.find("{% generation %}"), std::string::npos) << source << why;
    EXPECT_EQ(why.find('\n'), std::string::npos);
  }
  // Answers that the template leaves out would not be learnt.
  EXPECT_NE(refusal(of("{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}")),
            "");
}

TEST(ChatMasks, GenerationBlocksDecide) {
  const ChatTemplate chat =
      of("{% for m in messages %}<{{ m.role }}>{% if m.role == 'assistant' %}"
         "{% generation %}{{ m.content }}<end>{% endgeneration %}{% else %}{{ m.content }}<end>"
         "{% endif %}\n{% endfor %}");
  EXPECT_EQ(learnt(chat, kTalk), (Texts{"a1<end>", "a2<end>"}));
  Messages last = kTalk;
  last[2].train = false;
  EXPECT_EQ(learnt(chat, last), Texts{"a2<end>"});
  const ChatTemplate lost =
      of("{% macro turn(m) %}{% generation %}{{ m.content }}{% endgeneration %}{% endmacro %}"
         "{% for m in messages %}{{ turn(m) }}{% endfor %}");
  EXPECT_NE(refusal(lost).find("inside a macro"), std::string::npos);
}

TEST(ChatMasks, OtherRolesWithoutWhatIsAlwaysThere) {
  const ChatTemplate chat =
      of("{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>\n{% endfor %}"
         "{% if add_generation_prompt %}<assistant>{% endif %}");
  Messages talk = kTalk;
  for (Message& m : talk) m.train = m.role == "user";
  EXPECT_EQ(learnt(chat, talk), (Texts{"q1<end>", "q2<end>"}));
}

TEST(ChatMasks, WhatLoopsWithinATurnWriteOfOthersIsNotTheTurns) {
  // An answer's turn in which the results of its calls stand.
  const ChatTemplate chat =
      of("{% for m in messages %}{% if m.role != 'tool' %}<{{ m.role }}>{{ m.content }}"
         "{% if m.calls %}[call]{% for r in messages if r.role == 'tool' %}({{ r.content }})"
         "{% endfor %}{% endif %}<end>{% endif %}{% endfor %}"
         "{% if add_generation_prompt %}<assistant>{% endif %}");
  const Messages talk = {{"user", "q"},
                         {.role = "assistant", .content = "a", .fields = {{"calls", Json(true)}}},
                         {"tool", "r1"},
                         {"tool", "r2"}};
  EXPECT_EQ(learnt(chat, talk), (Texts{"a[call]", "<end>"}));
}

TEST(ChatMasks, APromptThatSaysMoreThanTheTurn) {
  // The prompt opens the thinking that finished turns do not keep.
  const ChatTemplate chat =
      of("{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
         "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}");
  const Messages talk = {
      {"user", "q"}, {"assistant", "<thing> x"}, {"user", "r"}, {"assistant", "<think>\ny"}};
  EXPECT_EQ(learnt(chat, talk), (Texts{"<thing> x<|end|>", "y<|end|>"}));
}

TEST(ChatMasks, ManyTurnsTakeTimeByTheirNumber) {
  Messages talk;
  for (int i = 0; i < 20'000; ++i)
    talk.push_back({.role = i % 2 ? "assistant" : "user", .content = cat("t", i), .train = true});
  const ChatTemplate chat =
      of("{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>\n{% endfor %}"
         "{% if add_generation_prompt %}<assistant>{% endif %}");
  const Texts texts = learnt(chat, talk);
  ASSERT_EQ(texts.size(), talk.size());
  EXPECT_EQ(texts.back(), "t19999<end>");
  EXPECT_EQ(texts[19998], "t19998<end>");
  const ChatTemplate indexed =
      of("{% for i in range(messages|length) %}"
         "<{{ messages[i].role }}>{{ messages[i].content }}{% endfor %}");
  EXPECT_THROW(render(indexed, talk, false), DataError);
}

TEST(ChatMasks, EmptyAnswersAndContentsLikeMarks) {
  const ChatTemplate chat = chat_template_by_name("chatml");
  EXPECT_EQ(learnt(chat, Messages{{"user", ""}, {"assistant", ""}}), Texts{"<|im_end|>"});
  const ChatTemplate own =
      of("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
         "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}");
  EXPECT_EQ(learnt(own, Messages{{"user", ""}, {"assistant", ""}}), Texts{"<|im_end|>"});
  const Messages marks = {{"user", "<|im_start|>assistant\nno<|im_end|>\n"},
                          {"assistant", "<|im_start|>assistant\nyes"}};
  EXPECT_EQ(learnt(own, marks), Texts{"<|im_start|>assistant\nyes<|im_end|>"});
}

TEST(ChatMasks, ATemplateOfItsOwnForConversationsWithTools) {
  ChatTemplate chat = of("{% for m in messages %}<{{ m.role }}>{{ m.content }}.{% endfor %}");
  chat.with_tools = of("{{ tools|length }} tools: {% for m in messages %}{{ m.content }}"
                       "{% endfor %}")
                        .jinja;
  const ChatInputs tools{.tools = Json::array({Json("f")})};
  const Messages talk = {{"user", "q"}, {"assistant", "a"}};
  EXPECT_EQ(render_text(chat, talk, false), "<user>q.<assistant>a.");
  EXPECT_EQ(render_text(chat, talk, false, tools), "1 tools: qa");
  EXPECT_EQ(learnt(chat, talk, tools), Texts{"a"});
}

// Real templates. `turn` is an answer's text as the template writes it.
class ChatMasksData : public testing::Test {
 protected:
  void SetUp() override {
    const char* root = std::getenv("NIBBLE_DATA");
    if (root == nullptr) GTEST_SKIP() << "NIBBLE_DATA is not set: no real chat templates checked";
    folder_ = fs::path(root) / "chat_templates";
  }
  ChatTemplate model(const std::string& name) const {
    return chat_template_from_jinja(read_text_file(folder_ / (name + ".jinja"), jinja::kMaxSource),
                                    "<s>", "</s>", name);
  }
  static Json::Array calls() {
    return {parse_json(R"({"type":"function","id":"abcdefghi","function":)"
                       R"({"name":"f","arguments":{"x":1}}})",
                       "test")};
  }
  fs::path folder_;
};

TEST_F(ChatMasksData, SmolLM2) {
  const ChatTemplate chat = model("HuggingFaceTB-SmolLM2-135M-Instruct");
  EXPECT_EQ(learnt(chat, kTalk), (Texts{"a1<|im_end|>", "a2<|im_end|>"}));
  EXPECT_EQ(learnt(chat, Messages{{"user", "q"}, {"assistant", ""}}), Texts{"<|im_end|>"});
  Messages last = kTalk, flags = kTalk, users = kTalk;
  last[2].train = false;
  EXPECT_EQ(learnt(chat, last), Texts{"a2<|im_end|>"});
  flags[1].train = flags[4].train = true;
  flags[2].train = false;
  EXPECT_EQ(learnt(chat, flags), (Texts{"q1<|im_end|>", "a2<|im_end|>"}));
  EXPECT_EQ(end_of_turn(chat), "<|im_end|>");
  EXPECT_EQ(learnt(chat, kTalk, {}, true), (Texts{"a1<|im_end|>", "a2<|im_end|>"}));
}

TEST_F(ChatMasksData, Llama3) {
  for (const char* name : {"meta-llama-Llama-3.1-8B-Instruct", "meta-llama-Llama-3.2-3B-Instruct",
                           "meta-llama-Llama-3.3-70B-Instruct"}) {
    const ChatTemplate chat = model(name);
    EXPECT_EQ(learnt(chat, kTalk), (Texts{"a1<|eot_id|>", "a2<|eot_id|>"})) << name;
    const Messages called = {{"user", "q"},
                             {.role = "assistant", .fields = {{"tool_calls", calls()}}},
                             {"tool", "r"},
                             {"assistant", "a"}};
    EXPECT_EQ(learnt(chat, called),
              (Texts{R"({"name": "f", "parameters": {"x": 1}}<|eot_id|>)", "a<|eot_id|>"}))
        << name;
    EXPECT_EQ(end_of_turn(chat), "<|eot_id|>");
  }
}

TEST_F(ChatMasksData, Qwen3) {
  const ChatTemplate chat = model("Qwen-Qwen3-0.6B");
  EXPECT_EQ(learnt(chat, kTalk), (Texts{"a1<|im_end|>", "<think>\n\n</think>\n\na2<|im_end|>"}));
  const Messages thought = {{"user", "q1"},
                            {"assistant", "<think>\nwhy\n</think>\n\nA"},
                            {"user", "q2"},
                            {"assistant", "<think>\nhow\n</think>\n\nB"}};
  EXPECT_EQ(learnt(chat, thought), (Texts{"A<|im_end|>", "<think>\nhow\n</think>\n\nB<|im_end|>"}));
  const Messages field = {
      {"user", "q"},
      {.role = "assistant", .content = "A", .fields = {{"reasoning_content", Json("why")}}}};
  EXPECT_EQ(learnt(chat, field), Texts{"<think>\nwhy\n</think>\n\nA<|im_end|>"});
  const Messages called = {
      {"user", "q"},
      {.role = "assistant", .content = "Let me see.", .fields = {{"tool_calls", calls()}}},
      {"tool", "r1"},
      {"tool", "r2"},
      {"assistant", "a"}};
  EXPECT_EQ(learnt(chat, called),
            (Texts{"Let me see.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 1}}\n"
                   "</tool_call><|im_end|>",
                   "<think>\n\n</think>\n\na<|im_end|>"}));
  // With thinking switched off the prompt holds the empty thought.
  const ChatInputs off{.variables = {{"enable_thinking", Json(false)}}};
  EXPECT_EQ(learnt(chat, kTalk, off), (Texts{"a1<|im_end|>", "a2<|im_end|>"}));
}

TEST_F(ChatMasksData, EveryTemplateOfTheFolder) {
  int checked = 0;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    const ChatTemplate chat = model(entry.path().stem());
    EXPECT_EQ(refusal(chat), "") << chat.name;
    const Messages talk(kTalk.begin() + 1, kTalk.end());
    const Json tools = Json::array(
        {parse_json(R"({"type":"function","function":{"name":"f","description":"d","parameters":)"
                    R"({"type":"object","properties":{"x":{"type":"string","description":"e"}}}}})",
                    "test")});
    const ChatInputs inputs{.tools = chat.jinja->reads("tools") ? tools : Json(),
                            .variables = {{"functions", Json("[]")}, {"datetime", Json("now")}}};
    const Texts texts = learnt(chat, talk, inputs);
    ASSERT_EQ(texts.size(), 2u) << chat.name;
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_NE(texts[i].find(i == 0 ? "a1" : "a2"), std::string::npos) << chat.name;
      EXPECT_EQ(texts[i].find("q1"), std::string::npos) << chat.name << texts[i];
      EXPECT_EQ(texts[i].find("q2"), std::string::npos) << chat.name << texts[i];
    }
    ++checked;
  }
  EXPECT_GE(checked, 25);
}

}  // namespace
}  // namespace nibble
