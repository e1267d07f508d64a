// SPDX-License-Identifier: Apache-2.0
#include "text/chat_template.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/error.h"

namespace nibble {
namespace {

using Messages = std::vector<Message>;
using Segments = std::vector<Segment>;

const Messages kTwoTurns = {{"user", "Hi"}, {"assistant", " Hello "}, {"user", "2+2?"}};

// Sources as models write them; expected text is what transformers renders from them.
const char* const kPlainChatml =
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + "
    "message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\n' }}{% endif %}";
const char* const kSpacedChatml =
    "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}"
    "{% endif %}{%- for message in messages %}\n"
    "    {{- \"<|im_start|>\" + message.role + \"\\n\" + message.content + '<|im_end|>\\n' }}\n"
    "{%- endfor %}\n{#- the answer's head #}\n{%- if add_generation_prompt %}\n"
    "    {{- '<|im_start|>assistant\\n' }}\n{%- endif %}\n";
const char* const kChefChatml =
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou \"cook\".\nWell.<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

std::string llama2_source(const std::string& stripped) {
  return "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
         "{% set system_message = messages[0]['content'] %}{% else %}"
         "{% set loop_messages = messages %}{% set system_message = false %}{% endif %}"
         "{% for message in loop_messages %}"
         "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
         "{{ raise_exception('Conversation roles must alternate user/assistant/user/"
         "assistant/...') }}{% endif %}"
         "{% if loop.index0 == 0 and system_message != false %}"
         "{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + "
         "message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}"
         "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + " +
         stripped + " + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' '  + " +
         stripped + " + ' ' + eos_token }}{% endif %}{% endfor %}";
}

std::string llama3_source(bool asks) {
  return std::string(
             "{% set loop_messages = messages %}{% for message in loop_messages %}"
             "{% set content = '<|start_header_id|>' + message['role'] + "
             "'<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}"
             "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}"
             "{{ content }}{% endfor %}") +
         (asks ? "{% if add_generation_prompt %}" : "") +
         "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}" + (asks ? "{% endif %}" : "");
}

ChatTemplate recognised(const std::string& source) {
  return chat_template_from_jinja(source, "<s>", "</s>", "tokenizer_config.json");
}

TEST(ChatTemplate, PlainChatml) {
  for (const char* source : {kPlainChatml, kSpacedChatml}) {
    const ChatTemplate chat = recognised(source);
    const Segments want = {{false, "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"},
                           {true, " Hello <|im_end|>"},
                           {false,
                            "\n<|im_start|>user\n2+2?<|im_end|>\n"
                            "<|im_start|>assistant\n"}};
    EXPECT_EQ(render(chat, kTwoTurns, true), want);
    EXPECT_EQ(end_of_turn(chat), "<|im_end|>");
  }
}

TEST(ChatTemplate, ChatmlDefaultSystemMessageIsTheModelsOwn) {
  const ChatTemplate chat = recognised(kChefChatml);
  EXPECT_EQ(joined_text(render(chat, Messages{{"user", "Hi"}}, false)),
            "<|im_start|>system\nYou \"cook\".\nWell.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n");
  EXPECT_EQ(joined_text(render(chat, Messages{{"system", "S"}, {"user", "Hi"}}, false)),
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n");
}

TEST(ChatTemplate, Llama2) {
  for (const char* stripped : {"content.strip()", "content | trim"}) {
    const ChatTemplate chat = recognised(llama2_source(stripped));
    const Messages talk = {{"system", "S"}, {"user", " Hi "}, {"assistant", "Yo\n"}, {"user", "?"}};
    const Segments want = {{false, "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\n Hi [/INST]"},
                           {true, " Yo </s>"},
                           {false, "<s>[INST] ? [/INST]"}};
    EXPECT_EQ(render(chat, talk, true), want);
    EXPECT_THROW(render(chat, Messages{{"assistant", "x"}}, false), DataError);
    EXPECT_THROW(render(chat, Messages{{"user", "x"}, {"user", "y"}}, false), DataError);
  }
}

TEST(ChatTemplate, Llama3) {
  const std::string open = "<|start_header_id|>", close = "<|end_header_id|>\n\n";
  const Segments want = {
      {false, "<s>" + open + "user" + close + "Hi<|eot_id|>" + open + "assistant" + close},
      {true, "Hello<|eot_id|>"},
      {false, open + "user" + close + "2+2?<|eot_id|>"}};
  EXPECT_EQ(render(recognised(llama3_source(true)), kTwoTurns, false), want);
  Segments prompted = want;
  prompted.back().text += open + "assistant" + close;
  EXPECT_EQ(render(recognised(llama3_source(true)), kTwoTurns, true), prompted);
  EXPECT_EQ(render(recognised(llama3_source(false)), kTwoTurns, false), prompted);
}

TEST(ChatTemplate, Alpaca) {
  const ChatTemplate chat = chat_template_by_name("alpaca", "<s>", "<end>");
  const Segments plain = {
      {false,
       "Below is an instruction that describes a task. Write a response that appropriately "
       "completes the request.\n\n### Instruction:\nAdd.\n\n### Response:\n"},
      {true, "3<end>"}};
  EXPECT_EQ(render(chat, Messages{{"user", "Add."}, {"assistant", "3"}}, false), plain);
  EXPECT_EQ(joined_text(render(chat, Messages{{"user", "Add.", "1 2"}}, true)),
            "Below is an instruction that describes a task, paired with an input that provides "
            "further context. Write a response that appropriately completes the request.\n\n"
            "### Instruction:\nAdd.\n\n### Input:\n1 2\n\n### Response:\n");
}

TEST(ChatTemplate, InputIsALineElsewhere) {
  EXPECT_EQ(joined_text(
                render(chat_template_by_name("chatml"), Messages{{"user", "Add.", "1 2"}}, false)),
            "<|im_start|>user\nAdd.\n1 2<|im_end|>\n");
}

TEST(ChatTemplate, TrainFlagMovesTheLabel) {
  Messages talk = kTwoTurns;
  talk[0].train = true;
  talk[1].train = false;
  const Segments got = render(chat_template_by_name("chatml"), talk, false);
  ASSERT_EQ(got.size(), 3u);
  EXPECT_EQ(got[1], (Segment{true, "Hi<|im_end|>"}));
  EXPECT_FALSE(got[2].label);
}

TEST(ChatTemplate, NamesThatAreNone) {
  try {
    chat_template_by_name("vicunia");
    ADD_FAILURE() << "taken";
  } catch (const UsageError& e) {
    EXPECT_NE(std::string(e.what()).find("chatml, alpaca, vicuna, llama-2, llama-3, mistral"),
              std::string::npos)
        << e.what();
  }
}

std::string text_of(std::string_view name, const Messages& messages, bool prompts = false) {
  return render_text(chat_template_by_name(name), messages, prompts);
}

TEST(ChatTemplate, TheOtherNames) {
  const Messages talk = {{"system", "S"}, {"user", "a"}, {"assistant", "A"}, {"user", "b"}};
  EXPECT_EQ(text_of("vicuna", talk, true), "S USER: a ASSISTANT: A</s>USER: b ASSISTANT:");
  EXPECT_EQ(text_of("vicuna", Messages{{"user", "a"}}),
            "A chat between a curious user and an artificial intelligence assistant. The assistant "
            "gives helpful, detailed, and polite answers to the user's questions. USER: a ");
  EXPECT_EQ(text_of("mistral", talk, true), "<s>[INST] S\n\na [/INST] A</s>[INST] b [/INST]");
  EXPECT_EQ(text_of("zephyr", talk, true),
            "<|system|>\nS</s>\n<|user|>\na</s>\n<|assistant|>\nA</s>\n<|user|>\nb</s>\n"
            "<|assistant|>\n");
  EXPECT_EQ(text_of("phi-3", talk, true),
            "<|system|>\nS<|end|>\n<|user|>\na<|end|>\n<|assistant|>\nA<|end|>\n<|user|>\n"
            "b<|end|>\n<|assistant|>\n");
  EXPECT_EQ(text_of("phi-3", Messages{{"user", "a"}}), "<|user|>\na<|end|>\n<|endoftext|>");
  EXPECT_EQ(text_of("gemma", talk, true),
            "<bos><start_of_turn>user\nS\n\na<end_of_turn>\n<start_of_turn>model\nA<end_of_turn>\n"
            "<start_of_turn>user\nb<end_of_turn>\n<start_of_turn>model\n");
}

TEST(ChatTemplate, EveryNameTrainsOnAnswersAlone) {
  const Messages talk = {{"user", "a"}, {"assistant", "A"}, {"user", "b"}, {"assistant", "B"}};
  for (const std::string& name : chat_template_names()) {
    const ChatTemplate chat = chat_template_by_name(name);
    std::vector<std::string> learnt;
    for (const Segment& s : render(chat, talk, false))
      if (s.label) learnt.push_back(s.text);
    ASSERT_EQ(learnt.size(), 2u) << name;
    const std::string space = name == "vicuna" || name == "mistral" || name == "llama-2" ? " " : "";
    const std::string end = (name == "llama-2" ? " " : "") + end_of_turn(chat);
    EXPECT_EQ(learnt[0], space + "A" + end) << name;
    EXPECT_EQ(learnt[1], space + "B" + end) << name;
    EXPECT_NO_THROW(check_masks(chat)) << name;
  }
}

std::string slurp(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(ChatTemplateData, TemplatesOfModels) {
  const char* root = std::getenv("NIBBLE_DATA");
  if (root == nullptr) GTEST_SKIP() << "NIBBLE_DATA is not set: no real chat templates checked";
  const std::string folder = std::string(root) + "/chat_templates/";
  struct Case {
    const char *file, *want;
  };
  const std::string dates =
      "B<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n"
      "Today Date: ";
  const std::string rest =
      "\n\n<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
      "<|start_header_id|>assistant<|end_header_id|>\n\n";
  const std::string fixed = dates + "26 Jul 2024" + rest, today = dates + "02 Jan 2026" + rest;
  const Case cases[] = {
      {"HuggingFaceTB-SmolLM2-135M-Instruct.jinja",
       "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
       "<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"},
      {"Qwen-Qwen2.5-7B-Instruct.jinja",
       "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant."
       "<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"},
      {"Qwen-Qwen3-0.6B.jinja", "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"},
      {"meta-llama-Llama-3.1-8B-Instruct.jinja", fixed.c_str()},
      {"meta-llama-Llama-3.2-3B-Instruct.jinja", today.c_str()},
      {"meta-llama-Llama-3.3-70B-Instruct.jinja", fixed.c_str()},
  };
  for (const Case& c : cases) {
    ChatTemplate chat = chat_template_from_jinja(slurp(folder + c.file), "B", "E", c.file);
    std::tm day = {.tm_sec = 0,
                   .tm_min = 0,
                   .tm_hour = 12,
                   .tm_mday = 2,
                   .tm_mon = 0,
                   .tm_year = 126,
                   .tm_isdst = -1};
    chat.now = std::mktime(&day);
    EXPECT_EQ(joined_text(render(chat, Messages{{"user", "Hi"}}, true)), c.want) << c.file;
  }
}

}  // namespace
}  // namespace nibble
