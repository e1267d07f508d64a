// SPDX-License-Identifier: Apache-2.0
// Known chat templates, as canonical programs (text/jinja_program.h), and what each is. A long one
// is named by its SHA-256.
#include <algorithm>
#include <array>
#include <ctime>

#include "base/error.h"
#include "text/chat_template.h"
#include "text/jinja_program.h"
#include "text/sha256.h"
#include "text/tokenizer.h"

namespace nibble {
namespace {

// Stands in a program for the default system message, whatever a model's is.
constexpr std::string_view kSystemHole = "$SYSTEM";
constexpr std::string_view kToday = "$TODAY";
constexpr std::string_view kLlamaDates = "Cutting Knowledge Date: December 2023\nToday Date: ";

struct Known {
  std::string_view program;  // or its SHA-256
  TemplateForm form;
  bool thinking = false, plain_roles = false, always_prompts = false;
  std::string_view date = {};  // of the dated preamble
};

constexpr std::string_view kChatml = R"(do for message in messages
out "<|im_start|>"
out message["role"]
out "\n"
out message["content"]
out "<|im_end|>\n"
do endfor
do if add_generation_prompt
out "<|im_start|>assistant\n"
do endif
)";

// SmolLM2, Qwen 1.5, Qwen2.
constexpr std::string_view kChatmlDefault = R"(do for message in messages
do if loop["first"]and messages[0]["role"]!="system"
out "<|im_start|>system\n$SYSTEM<|im_end|>\n"
do endif
out "<|im_start|>"
out message["role"]
out "\n"
out message["content"]
out "<|im_end|>\n"
do endfor
do if add_generation_prompt
out "<|im_start|>assistant\n"
do endif
)";

#define NIBBLE_LLAMA2(STRIPPED)                                                               \
  "do if messages[0][\"role\"]==\"system\"\n"                                                 \
  "do set loop_messages=messages[1:]\n"                                                       \
  "do set system_message=messages[0][\"content\"]\n"                                          \
  "do else\n"                                                                                 \
  "do set loop_messages=messages\n"                                                           \
  "do set system_message=false\n"                                                             \
  "do endif\n"                                                                                \
  "do for message in loop_messages\n"                                                         \
  "do if(message[\"role\"]==\"user\")!=(loop[\"index0\"]%2==0)\n"                             \
  "out raise_exception(\"Conversation roles must alternate user/assistant/user/assistant/"    \
  "...\")\n"                                                                                  \
  "do endif\n"                                                                                \
  "do if loop[\"index0\"]==0 and system_message!=false\n"                                     \
  "do set content=\"<<SYS>>\\n\"+system_message+\"\\n<</SYS>>\\n\\n\"+message[\"content\"]\n" \
  "do else\n"                                                                                 \
  "do set content=message[\"content\"]\n"                                                     \
  "do endif\n"                                                                                \
  "do if message[\"role\"]==\"user\"\n"                                                       \
  "out bos_token\n"                                                                           \
  "out \"[INST] \"\n"                                                                         \
  "out " STRIPPED                                                                             \
  "\n"                                                                                        \
  "out \" [/INST]\"\n"                                                                        \
  "do elif message[\"role\"]==\"assistant\"\n"                                                \
  "out \" \"\n"                                                                               \
  "out " STRIPPED                                                                             \
  "\n"                                                                                        \
  "out \" \"\n"                                                                               \
  "out eos_token\n"                                                                           \
  "do endif\n"                                                                                \
  "do endfor\n"

#define NIBBLE_LLAMA3                                                                     \
  "do set loop_messages=messages\n"                                                       \
  "do for message in loop_messages\n"                                                     \
  "do set content=\"<|start_header_id|>\"+message[\"role\"]+\"<|end_header_id|>\\n\\n\"+" \
  "message[\"content\"]|trim+\"<|eot_id|>\"\n"                                            \
  "do if loop[\"index0\"]==0\n"                                                           \
  "do set content=bos_token+content\n"                                                    \
  "do endif\n"                                                                            \
  "out content\n"                                                                         \
  "do endfor\n"

constexpr std::array kKnown = {
    Known{kChatml, TemplateForm::kChatml},
    Known{kChatmlDefault, TemplateForm::kChatml},
    // Qwen2.5, with tools
    Known{"72b5c8fe76a1a70c43d1d5c7a379170c76d1188b4b451ae74350693ccefe5128", TemplateForm::kChatml,
          false, true},
    // Qwen3, with tools: as published, and with checks that contents are strings
    Known{"df991f371c0c682108b32b749f71b59f9fa327c4a8ed682472d9b530585d27f5", TemplateForm::kChatml,
          true, true},
    Known{"78408da6123d2e1b30d2c78caa4ca34807f84a8bfc37ba3d00f6f30b8faa5433", TemplateForm::kChatml,
          true, true},
    // Qwen3 Instruct 2507
    Known{"74ffebaa026fcbc14d6983f37243dfebd281e9079d4cc45e0da1ee9f2fa45941", TemplateForm::kChatml,
          false, true},
    Known{NIBBLE_LLAMA2("content.strip()"), TemplateForm::kLlama2},
    Known{NIBBLE_LLAMA2("content|trim"), TemplateForm::kLlama2},
    // Llama 3, with the prompt when asked for and (as first published) always
    Known{NIBBLE_LLAMA3 "do if add_generation_prompt\n"
                        "out \"<|start_header_id|>assistant<|end_header_id|>\\n\\n\"\ndo endif\n",
          TemplateForm::kLlama3},
    Known{NIBBLE_LLAMA3 "out \"<|start_header_id|>assistant<|end_header_id|>\\n\\n\"\n",
          TemplateForm::kLlama3, false, false, true},
    // Llama 3.1 and 3.3
    Known{"79b0627f3b11e959c340563659d7df9f3eaf4e6bf9ba2570fc30584b990ccc0b", TemplateForm::kLlama3,
          false, true, false, "26 Jul 2024"},
    // Llama 3.2
    Known{"f842c6f91571f12f715d9d9ea910bc3c1fa3f44b0fbcda4b04bde1977eee3a0a", TemplateForm::kLlama3,
          false, true, false, kToday},
};

#undef NIBBLE_LLAMA2
#undef NIBBLE_LLAMA3

// Cuts the default system message out of a ChatML program: every literal that is it, alone or
// between its marks.
std::optional<std::string> take_default_system(std::string& program) {
  constexpr std::string_view kOpen = "out \"<|im_start|>system\\n", kClose = "<|im_end|>\\n\"\n";
  std::optional<std::string> found;
  for (size_t at = 0; (at = program.find(kOpen, at)) != std::string::npos;) {
    at += kOpen.size();
    const size_t line = program.find('\n', at);
    if (line == std::string::npos) break;
    const std::string_view rest = std::string_view(program).substr(at, line + 1 - at);
    if (!rest.ends_with(kClose)) continue;
    const std::string text(rest.substr(0, rest.size() - kClose.size()));
    if (found && *found != text) return std::nullopt;
    found = text;
    program.replace(at, text.size(), kSystemHole);
  }
  if (!found) return std::nullopt;
  const std::string alone = cat("out \"", *found, "\"\n");
  for (size_t at = 0; (at = program.find(alone, at)) != std::string::npos;)
    program.replace(at, alone.size(), cat("out \"", kSystemHole, "\"\n"));
  // The literal's text, unquoted.
  std::string text;
  for (size_t i = 0; i < found->size(); ++i) {
    char c = (*found)[i];
    if (c == '\\' && i + 1 < found->size()) c = (*found)[++i] == 'n' ? '\n' : (*found)[i];
    text += c;
  }
  return text;
}

std::string day_of_call() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::string day = cat(local.tm_mday);
  return cat(day.size() < 2 ? "0" : "", day, " ", kMonths[local.tm_mon], " ", local.tm_year + 1900);
}

}  // namespace

ChatTemplate recognise_chat_template(std::string_view jinja, std::string_view bos,
                                     std::string_view eos, const std::string& place,
                                     std::string_view today) {
  std::string program;
  try {
    program = jinja_program(jinja);
  } catch (const Error& e) {
    throw DataError(cat(place, ": ", e.what()));
  }
  const std::optional<std::string> system = take_default_system(program);
  const std::string digest = sha256_hex(program);
  const auto known = std::find_if(kKnown.begin(), kKnown.end(), [&](const Known& k) {
    return k.program == program || k.program == digest;
  });
  if (known == kKnown.end())
    throw UnavailableError(cat(place, ": the chat template (program ", digest.substr(0, 12),
                               ") is none that is built in; pass --template=NAME, one of ",
                               "chatml, alpaca, llama-2, llama-3"));
  ChatTemplate chat{.form = known->form,
                    .bos = std::string(bos),
                    .eos = std::string(eos),
                    .default_system = system,
                    .thinking = known->thinking,
                    .plain_roles = known->plain_roles,
                    .always_prompts = known->always_prompts};
  if (!known->date.empty()) {
    const std::string day = known->date != kToday ? std::string(known->date)
                            : today.empty()       ? day_of_call()
                                                  : std::string(today);
    chat.preamble = cat(kLlamaDates, day, "\n\n");
  }
  return chat;
}

const std::vector<std::string>& chat_template_names() {
  static const std::vector<std::string> names = {"chatml", "alpaca", "llama-2", "llama-3"};
  return names;
}

std::string_view chat_template_name(TemplateForm form) {
  return chat_template_names()[static_cast<size_t>(form)];
}

ChatTemplate chat_template_by_name(std::string_view name, std::string_view bos,
                                   std::string_view eos) {
  const auto& names = chat_template_names();
  const auto at = std::find(names.begin(), names.end(), name);
  if (at == names.end())
    throw UsageError(
        cat("chat template \"", name, "\" is none of chatml, alpaca, llama-2, llama-3"));
  ChatTemplate chat{.form = static_cast<TemplateForm>(at - names.begin()),
                    .bos = std::string(bos),
                    .eos = std::string(eos)};
  const bool llama3 = chat.form == TemplateForm::kLlama3;
  if (chat.bos.empty()) chat.bos = llama3 ? "<|begin_of_text|>" : "<s>";
  if (chat.eos.empty()) chat.eos = llama3 ? "<|eot_id|>" : "</s>";
  return chat;
}

ChatTemplate model_chat_template(const Tokenizer& tokenizer, std::string_view name,
                                 const std::string& place) {
  const std::string bos = tokenizer.bos ? tokenizer.token_text(*tokenizer.bos) : "";
  const std::string eos = tokenizer.eos ? tokenizer.token_text(*tokenizer.eos) : "";
  if (!name.empty()) return chat_template_by_name(name, bos, eos);
  if (tokenizer.chat_template.empty())
    throw UnavailableError(cat(place, ": the model has no chat template; pass --template=NAME, ",
                               "one of chatml, alpaca, llama-2, llama-3"));
  return recognise_chat_template(tokenizer.chat_template, bos, eos, place);
}

}  // namespace nibble
