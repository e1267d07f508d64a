// SPDX-License-Identifier: Apache-2.0
// Chat templates: conversations rendered as the text a model was taught on, cut into segments that
// say what is trained on. A template is a Jinja source (text/jinja.h): the model's own, a file, or
// one by name. Text is what transformers' apply_chat_template writes, character for character.
#pragma once

#include <ctime>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/json.h"
#include "text/jinja.h"

namespace nibble {

class Tokenizer;

struct Message {
  std::string role;     // "system", "user", "assistant", "tool", ...
  std::string content;  // text
  /// What an alpaca row calls "input": its own section in the alpaca template, elsewhere a line
  /// after the content.
  std::string input = {};
  /// Whether the content and its end-of-turn token are trained on; unset: assistant's are.
  std::optional<bool> train = std::nullopt;
  /// What the data itself says of that ("weight": 0); whoever sets `train` may obey it.
  std::optional<bool> flag = std::nullopt;
  /// What else a template may read: "tool_calls", "reasoning_content", "name", ... A "content" here
  /// (null, or a list of parts) stands in place of the text.
  Json::Object fields = {};
};

struct Segment {
  bool label = false;  // trained on
  std::string text;

  bool operator==(const Segment&) const = default;
};

/// What a conversation brings beside its messages.
struct ChatInputs {
  Json tools, documents;        // null: none
  Json::Object variables = {};  // further ones: "enable_thinking", ...
};

struct ChatTemplate {
  std::string name;      // for messages: a name, or where the source is from
  std::string bos, eos;  // the special tokens' text; empty: the model has none
  std::shared_ptr<const jinja::Template> jinja;
  std::shared_ptr<const jinja::Template> with_tools = nullptr;  // for conversations that have tools
  /// The template has a section for Message::input.
  bool has_input_section = false;
  std::time_t now = std::time(nullptr);  // what templates that write the date are told
};

/// "chatml", "alpaca", "vicuna", "llama-2", "llama-3", "mistral", "zephyr", "phi-3", "gemma".
const std::vector<std::string>& chat_template_names();

/// The plain template of that name. Empty `bos` and `eos` mean those of the form's first model
/// (<s> and </s>, <|begin_of_text|>). Throws UsageError for another name.
ChatTemplate chat_template_by_name(std::string_view name, std::string_view bos = {},
                                   std::string_view eos = {});

/// The template of a Jinja source. `place` starts the messages of errors. Throws
/// jinja::TemplateError, which names the line.
ChatTemplate chat_template_from_jinja(std::string_view source, std::string_view bos,
                                      std::string_view eos, const std::string& place);

/// The template of a model: its own, or where `name` is given, the one of that name or in that
/// file. A model without a template and without `name` throws UnavailableError with the remedy.
ChatTemplate model_chat_template(const Tokenizer& tokenizer, std::string_view name,
                                 const std::string& place);

/// The conversation as text. With add_generation_prompt it ends where the assistant's answer
/// begins. Throws DataError where the template refuses the conversation.
std::string render_text(const ChatTemplate& chat, std::span<const Message> messages,
                        bool add_generation_prompt, const ChatInputs& inputs = {});

/// The same in segments; neighbours differ in label. What of a turn is trained on is what the model
/// would write: all after the generation prompt, end-of-turn token included, white space after it
/// not. Throws DataError, also where the template does not show where its turns are.
std::vector<Segment> render(const ChatTemplate& chat, std::span<const Message> messages,
                            bool add_generation_prompt, const ChatInputs& inputs = {});

/// Tries the template on a conversation of two turns. Throws UnavailableError where the segments
/// are not right: the answers and nothing of the questions trained on. A template that refuses the
/// conversation is not judged.
void check_masks(const ChatTemplate& chat);

/// The segments' text, joined.
std::string joined_text(std::span<const Segment> segments);

/// Text that ends an answer: the end-of-turn token that `render` writes after the content, for
/// generation to stop at ("<|im_end|>", "<|eot_id|>", or eos).
std::string end_of_turn(const ChatTemplate& chat);

}  // namespace nibble
