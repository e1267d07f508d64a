// SPDX-License-Identifier: Apache-2.0
#include "text/chat_template.h"

#include <algorithm>

#include "base/error.h"
#include "text/unicode.h"

namespace nibble {
namespace {

// Builds segments, joining neighbours of one label.
class Writer {
 public:
  void prompt(std::string_view text) { add(false, text); }
  void turn(const Message& message, std::string_view text) {
    add(message.train.value_or(message.role == "assistant"), text);
  }
  std::vector<Segment> take() { return std::move(segments_); }

 private:
  void add(bool label, std::string_view text) {
    if (text.empty()) return;
    if (segments_.empty() || segments_.back().label != label) segments_.push_back({label, {}});
    segments_.back().text += text;
  }
  std::vector<Segment> segments_;
};

std::string whole_content(const Message& message) {
  return message.input.empty() ? message.content : cat(message.content, "\n", message.input);
}

bool is_system(std::span<const Message> messages) {
  return !messages.empty() && messages[0].role == "system";
}

void check_plain_roles(std::span<const Message> messages) {
  for (const Message& m : messages)
    if (m.role != "system" && m.role != "user" && m.role != "assistant")
      throw DataError(cat("role \"", m.role, "\" is none of system, user, assistant"));
}

void check_alternation(std::span<const Message> turns, std::string_view form) {
  for (size_t i = 0; i < turns.size(); ++i) {
    const std::string_view want = i % 2 == 0 ? "user" : "assistant";
    if (turns[i].role != want)
      throw DataError(cat("role \"", turns[i].role, "\" where the ", form, " template expects \"",
                          want, "\" (they alternate, user first)"));
  }
}

// An assistant's text split as Qwen3 does: what stands before the last </think>, without its
// <think>, and what follows.
struct Answer {
  std::string reasoning, content;
};
Answer split_reasoning(const std::string& text) {
  const auto strip_left = [](std::string_view s) {
    return s.substr(std::min(s.find_first_not_of('\n'), s.size()));
  };
  const auto strip_right = [](std::string_view s) {
    return s.substr(0, s.find_last_not_of('\n') + 1);
  };
  constexpr std::string_view kOpen = "<think>", kClose = "</think>";
  const size_t last = text.rfind(kClose);
  if (last == std::string::npos) return {{}, text};
  const std::string_view all = text;
  std::string_view before = strip_right(all.substr(0, all.find(kClose)));
  if (const size_t open = before.rfind(kOpen); open != std::string_view::npos)
    before.remove_prefix(open + kOpen.size());
  return {std::string(strip_left(before)),
          std::string(strip_left(all.substr(last + kClose.size())))};
}

// Index of the last question: answers after it keep their reasoning.
size_t last_question(std::span<const Message> messages) {
  for (size_t i = messages.size(); i-- > 0;) {
    const std::string_view text = messages[i].content;
    const bool tool = text.starts_with("<tool_response>") && text.ends_with("</tool_response>");
    if (messages[i].role == "user" && !tool) return i;
  }
  return messages.empty() ? 0 : messages.size() - 1;
}

std::string thinking_content(std::span<const Message> messages, size_t i) {
  Answer answer = split_reasoning(whole_content(messages[i]));
  const bool wrapped =
      i > last_question(messages) && (i + 1 == messages.size() || !answer.reasoning.empty());
  if (!wrapped) return answer.content;
  while (answer.reasoning.ends_with('\n')) answer.reasoning.pop_back();
  answer.content.erase(0, std::min(answer.content.find_first_not_of('\n'), answer.content.size()));
  return cat("<think>\n", answer.reasoning, "\n</think>\n\n", answer.content);
}

void render_chatml(const ChatTemplate& chat, std::span<const Message> messages, bool prompts,
                   Writer& out) {
  if (chat.plain_roles) check_plain_roles(messages);
  if (chat.default_system && !messages.empty() && !is_system(messages))
    out.prompt(cat("<|im_start|>system\n", *chat.default_system, "<|im_end|>\n"));
  for (size_t i = 0; i < messages.size(); ++i) {
    const Message& m = messages[i];
    out.prompt(cat("<|im_start|>", m.role, "\n"));
    const bool thinks = chat.thinking && m.role == "assistant";
    out.turn(m, (thinks ? thinking_content(messages, i) : whole_content(m)) + "<|im_end|>");
    out.prompt("\n");
  }
  if (prompts) out.prompt("<|im_start|>assistant\n");
}

void render_llama3(const ChatTemplate& chat, std::span<const Message> messages, bool prompts,
                   Writer& out) {
  const auto header = [&](std::string_view role) {
    out.prompt(cat("<|start_header_id|>", role, "<|end_header_id|>\n\n"));
  };
  if (chat.plain_roles) check_plain_roles(messages);
  if (!messages.empty() || !chat.preamble.empty()) out.prompt(chat.bos);
  if (!chat.preamble.empty()) {
    header("system");
    out.prompt(chat.preamble);
    if (is_system(messages)) {
      out.turn(messages[0], cat(python_strip(whole_content(messages[0])), "<|eot_id|>"));
      messages = messages.subspan(1);
    } else {
      out.prompt("<|eot_id|>");
    }
  }
  for (const Message& m : messages) {
    header(m.role);
    out.turn(m, cat(python_strip(whole_content(m)), "<|eot_id|>"));
  }
  if (prompts || chat.always_prompts) header("assistant");
}

// The prompt ends with [/INST]: the answer's leading space belongs to the answer, since
// SentencePiece makes it one token with the word.
void render_llama2(const ChatTemplate& chat, std::span<const Message> messages, Writer& out) {
  std::string system;
  bool has_system = false;
  if (is_system(messages)) {
    has_system = true;
    system = cat("<<SYS>>\n", whole_content(messages[0]), "\n<</SYS>>\n\n");
    messages = messages.subspan(1);
  }
  check_alternation(messages, "llama-2");
  for (size_t i = 0; i < messages.size(); ++i) {
    const Message& m = messages[i];
    if (m.role == "user") {
      const std::string content =
          has_system && i == 0 ? system + whole_content(m) : whole_content(m);
      out.prompt(chat.bos + "[INST] ");
      out.turn(m, python_strip(content));
      out.prompt(" [/INST]");
    } else {
      out.turn(m, cat(" ", python_strip(whole_content(m)), " ", chat.eos));
    }
  }
}

// The prompts of Stanford Alpaca, with the newline before the answer that alpaca-lora and axolotl
// write; the system message, where there is one, takes the place of the preamble.
void render_alpaca(const ChatTemplate& chat, std::span<const Message> messages, bool prompts,
                   Writer& out) {
  std::optional<std::string> system;
  if (is_system(messages)) {
    system = messages[0].content;
    messages = messages.subspan(1);
  }
  check_alternation(messages, "alpaca");
  for (size_t i = 0; i < messages.size(); ++i) {
    const Message& m = messages[i];
    if (m.role == "user") {
      if (i == 0 && system) {
        out.prompt(*system + "\n\n");
      } else if (i == 0) {
        out.prompt("Below is an instruction that describes a task");
        if (!m.input.empty()) out.prompt(", paired with an input that provides further context");
        out.prompt(". Write a response that appropriately completes the request.\n\n");
      } else {
        out.prompt("\n\n");
      }
      out.prompt("### Instruction:\n");
      out.turn(m, m.content);
      if (!m.input.empty()) {
        out.prompt("\n\n### Input:\n");
        out.turn(m, m.input);
      }
      const bool answered = i + 1 < messages.size();
      out.prompt(answered || prompts ? "\n\n### Response:\n" : "");
    } else {
      out.turn(m, whole_content(m) + chat.eos);
    }
  }
}

}  // namespace

std::vector<Segment> render(const ChatTemplate& chat, std::span<const Message> messages,
                            bool add_generation_prompt) {
  Writer out;
  switch (chat.form) {
    case TemplateForm::kChatml:
      render_chatml(chat, messages, add_generation_prompt, out);
      break;
    case TemplateForm::kLlama3:
      render_llama3(chat, messages, add_generation_prompt, out);
      break;
    case TemplateForm::kLlama2:
      render_llama2(chat, messages, out);
      break;
    case TemplateForm::kAlpaca:
      render_alpaca(chat, messages, add_generation_prompt, out);
      break;
  }
  return out.take();
}

std::string joined_text(std::span<const Segment> segments) {
  std::string text;
  for (const Segment& s : segments) text += s.text;
  return text;
}

std::string end_of_turn(const ChatTemplate& chat) {
  switch (chat.form) {
    case TemplateForm::kChatml:
      return "<|im_end|>";
    case TemplateForm::kLlama3:
      return "<|eot_id|>";
    case TemplateForm::kLlama2:
    case TemplateForm::kAlpaca:
      break;
  }
  return chat.eos;
}

}  // namespace nibble
