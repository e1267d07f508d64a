// SPDX-License-Identifier: Apache-2.0
// Chat templates: conversations rendered as the text a model was taught on, cut into segments that
// say what is trained on. Built in: chatml (SmolLM2, Qwen 2 to 3 and their variations), alpaca,
// llama-2, llama-3 (3 to 3.3). Which one a model uses is recognised from its own Jinja source, read
// as a program and compared with known ones: equal programs render equal text, character for
// character as transformers' apply_chat_template; any other is refused, never guessed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nibble {

class Tokenizer;

struct Message {
  std::string role;     // "system", "user", "assistant"; chatml takes any
  std::string content;  // text
  /// What an alpaca row calls "input": its own section in the alpaca template, elsewhere a line
  /// after the content.
  std::string input = {};
  /// Whether the content and its end-of-turn token are trained on; unset: assistant's are.
  std::optional<bool> train = std::nullopt;
};

struct Segment {
  bool label = false;  // trained on
  std::string text;

  bool operator==(const Segment&) const = default;
};

enum class TemplateForm : uint8_t { kChatml, kAlpaca, kLlama2, kLlama3 };

struct ChatTemplate {
  TemplateForm form = TemplateForm::kChatml;
  std::string bos, eos;  // the special tokens' text, where the form writes them
  /// chatml: the system message of a conversation that does not begin with one.
  std::optional<std::string> default_system = std::nullopt;
  /// chatml: the last answer is written with its reasoning between <think> marks, empty or not, and
  /// reasoning is dropped from answers before the last question (Qwen3).
  bool thinking = false;
  /// Only system, user and assistant are known (what others become needs the tools' templates).
  bool plain_roles = false;
  /// llama-3: every conversation has a system message that starts with this (the dates of 3.1 on).
  std::string preamble = {};
  /// The generation prompt is written whether asked for or not (the template of Llama 3.0).
  bool always_prompts = false;
};

/// "chatml", "alpaca", "llama-2", "llama-3".
const std::vector<std::string>& chat_template_names();
std::string_view chat_template_name(TemplateForm form);

/// The plain template of that name. Empty `bos` and `eos` mean those of the form's first model
/// (<s> and </s>, <|begin_of_text|>). Throws UsageError for another name.
ChatTemplate chat_template_by_name(std::string_view name, std::string_view bos = {},
                                   std::string_view eos = {});

/// The template that a Jinja source is. `place` starts the message of the UnavailableError thrown
/// where it is none of the known programs (remedy: --template=NAME). `today` stands for
/// strftime_now("%d %b %Y") in templates that write the date; empty: the day of the call.
ChatTemplate recognise_chat_template(std::string_view jinja, std::string_view bos,
                                     std::string_view eos, const std::string& place,
                                     std::string_view today = {});

/// The template of a model: what its Jinja source is, or NAME where one is given. A model without a
/// template and without NAME throws UnavailableError with the remedy.
ChatTemplate model_chat_template(const Tokenizer& tokenizer, std::string_view name,
                                 const std::string& place);

/// The conversation as text in segments; neighbours differ in label. With add_generation_prompt the
/// text ends where the assistant's answer begins. Throws DataError (without a place) where the
/// template cannot express the conversation: roles that do not alternate in llama-2 and alpaca,
/// roles unknown to it.
std::vector<Segment> render(const ChatTemplate& chat, std::span<const Message> messages,
                            bool add_generation_prompt);

/// The segments' text, joined.
std::string joined_text(std::span<const Segment> segments);

/// Text that ends an answer: the end-of-turn token that `render` writes after the content, for
/// generation to stop at ("<|im_end|>", "<|eot_id|>", or eos).
std::string end_of_turn(const ChatTemplate& chat);

}  // namespace nibble
