// SPDX-License-Identifier: Apache-2.0
// Templates by name. {% generation %} marks what of any message can be trained on; which messages
// are is decided elsewhere.
#include <algorithm>
#include <array>

#include "base/error.h"
#include "text/chat_template.h"

namespace nibble {
namespace {

struct Builtin {
  std::string_view name, bos, eos, source;
  bool has_input_section = false;
};

// OpenAI's ChatML, as SmolLM2 and Qwen write it, without a system message of their own.
constexpr std::string_view kChatml =
    R"({% for message in messages %}
{{- '<|im_start|>' + message.role + '\n' }}
{%- generation %}{{ message.content + '<|im_end|>' }}{% endgeneration %}
{{- '\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %})";

// The prompts of Stanford Alpaca, with the newline before the answer that alpaca-lora and axolotl
// write; the system message, where there is one, takes the place of the preamble.
constexpr std::string_view kAlpaca =
    R"({% if messages and messages[0].role == 'system' %}
{%- set system, turns = messages[0].content, messages[1:] %}
{%- else %}
{%- set system, turns = none, messages %}
{%- endif %}
{%- for message in turns %}
{%- set want = 'user' if loop.index0 is even else 'assistant' %}
{%- if message.role != want %}
{{- raise_exception('role "' + message.role + '" where the alpaca template expects "' + want +
                    '" (they alternate, user first)') }}
{%- endif %}
{%- if message.role == 'user' %}
{%- if loop.first and system is not none %}
{{- system + '\n\n' }}
{%- elif loop.first %}
{{- 'Below is an instruction that describes a task' }}
{%- if message.input %}{{ ', paired with an input that provides further context' }}{% endif %}
{{- '. Write a response that appropriately completes the request.\n\n' }}
{%- else %}
{{- '\n\n' }}
{%- endif %}
{{- '### Instruction:\n' }}
{%- generation %}{{ message.content }}{% endgeneration %}
{%- if message.input %}
{{- '\n\n### Input:\n' }}
{%- generation %}{{ message.input }}{% endgeneration %}
{%- endif %}
{%- if not loop.last or add_generation_prompt %}{{ '\n\n### Response:\n' }}{% endif %}
{%- else %}
{%- generation %}
{{- message.content + ('\n' + message.input if message.input else '') + eos_token }}
{%- endgeneration %}
{%- endif %}
{%- endfor %})";

// FastChat's vicuna_v1.1.
constexpr std::string_view kVicuna =
    R"({% if messages and messages[0].role == 'system' %}
{%- set system, turns = messages[0].content, messages[1:] %}
{%- else %}
{%- set system = "A chat between a curious user and an artificial intelligence assistant. The "
                 "assistant gives helpful, detailed, and polite answers to the user's questions." %}
{%- set turns = messages %}
{%- endif %}
{{- system + ' ' }}
{%- for message in turns %}
{%- if message.role == 'user' %}
{{- 'USER: ' }}{% generation %}{{ message.content }}{% endgeneration %}{{ ' ' }}
{%- elif message.role == 'assistant' %}
{{- 'ASSISTANT:' }}
{%- generation %}{{ ' ' + message.content + eos_token }}{% endgeneration %}
{%- else %}
{{- raise_exception('role "' + message.role + '" is none of system, user, assistant') }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %})";

// The prompt ends with [/INST]: the answer's leading space belongs to the answer, since
// SentencePiece makes it one token with the word.
constexpr std::string_view kLlama2 =
    R"({% if messages and messages[0].role == 'system' %}
{%- set system = '<<SYS>>\n' + messages[0].content + '\n<</SYS>>\n\n' %}
{%- set turns = messages[1:] %}
{%- else %}
{%- set system, turns = '', messages %}
{%- endif %}
{%- for message in turns %}
{%- set want = 'user' if loop.index0 is even else 'assistant' %}
{%- if message.role != want %}
{{- raise_exception('role "' + message.role + '" where the llama-2 template expects "' + want +
                    '" (they alternate, user first)') }}
{%- endif %}
{%- if message.role == 'user' %}
{{- bos_token + '[INST] ' }}
{%- generation %}
{{- ((system if loop.first else '') + message.content) | trim }}
{%- endgeneration %}
{{- ' [/INST]' }}
{%- else %}
{%- generation %}{{ ' ' + message.content | trim + ' ' + eos_token }}{% endgeneration %}
{%- endif %}
{%- endfor %})";

constexpr std::string_view kLlama3 =
    R"({% for message in messages %}
{%- if loop.first %}{{ bos_token }}{% endif %}
{{- '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n' }}
{%- generation %}{{ message.content | trim + '<|eot_id|>' }}{% endgeneration %}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %})";

// Mistral 7B Instruct; a system message goes before the first question.
constexpr std::string_view kMistral =
    R"({% if messages and messages[0].role == 'system' %}
{%- set system, turns = messages[0].content + '\n\n', messages[1:] %}
{%- else %}
{%- set system, turns = '', messages %}
{%- endif %}
{{- bos_token }}
{%- for message in turns %}
{%- set want = 'user' if loop.index0 is even else 'assistant' %}
{%- if message.role != want %}
{{- raise_exception('role "' + message.role + '" where the mistral template expects "' + want +
                    '" (they alternate, user first)') }}
{%- endif %}
{%- if message.role == 'user' %}
{{- '[INST] ' }}
{%- generation %}{{ (system if loop.first else '') + message.content }}{% endgeneration %}
{{- ' [/INST]' }}
{%- else %}
{%- generation %}{{ ' ' + message.content | trim + eos_token }}{% endgeneration %}
{%- endif %}
{%- endfor %})";

// Zephyr 7B.
constexpr std::string_view kZephyr =
    R"({% for message in messages %}
{%- if message.role not in ['system', 'user', 'assistant'] %}
{{- raise_exception('role "' + message.role + '" is none of system, user, assistant') }}
{%- endif %}
{{- '<|' + message.role + '|>\n' }}
{%- generation %}{{ message.content + eos_token }}{% endgeneration %}
{{- '\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %})";

// Phi-3 and Phi-3.5; a finished conversation ends with eos.
constexpr std::string_view kPhi3 =
    R"({% for message in messages %}
{%- if message.role not in ['system', 'user', 'assistant'] %}
{{- raise_exception('role "' + message.role + '" is none of system, user, assistant') }}
{%- endif %}
{{- '<|' + message.role + '|>\n' }}
{%- generation %}{{ message.content + '<|end|>' }}{% endgeneration %}
{{- '\n' }}
{%- endfor %}
{{- '<|assistant|>\n' if add_generation_prompt else eos_token }})";

// Gemma 1 to 3; a system message goes before the first question, as Gemma 3 has it.
constexpr std::string_view kGemma =
    R"({{ bos_token }}
{%- if messages and messages[0].role == 'system' %}
{%- set system, turns = messages[0].content + '\n\n', messages[1:] %}
{%- else %}
{%- set system, turns = '', messages %}
{%- endif %}
{%- for message in turns %}
{%- set want = 'user' if loop.index0 is even else 'assistant' %}
{%- if message.role != want %}
{{- raise_exception('role "' + message.role + '" where the gemma template expects "' + want +
                    '" (they alternate, user first)') }}
{%- endif %}
{{- '<start_of_turn>' + ('user' if want == 'user' else 'model') + '\n' }}
{%- generation %}
{{- (system if loop.first else '') + message.content | trim + '<end_of_turn>' }}
{%- endgeneration %}
{{- '\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %})";

constexpr std::array kBuiltins = {
    Builtin{"chatml", "<s>", "</s>", kChatml},
    Builtin{"alpaca", "<s>", "</s>", kAlpaca, true},
    Builtin{"vicuna", "<s>", "</s>", kVicuna},
    Builtin{"llama-2", "<s>", "</s>", kLlama2},
    Builtin{"llama-3", "<|begin_of_text|>", "<|eot_id|>", kLlama3},
    Builtin{"mistral", "<s>", "</s>", kMistral},
    Builtin{"zephyr", "<s>", "</s>", kZephyr},
    Builtin{"phi-3", "<s>", "<|endoftext|>", kPhi3},
    Builtin{"gemma", "<bos>", "<eos>", kGemma},
};

}  // namespace

const std::vector<std::string>& chat_template_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Builtin& b : kBuiltins) all.emplace_back(b.name);
    return all;
  }();
  return names;
}

ChatTemplate chat_template_by_name(std::string_view name, std::string_view bos,
                                   std::string_view eos) {
  const auto* const at = std::find_if(kBuiltins.begin(), kBuiltins.end(),
                                      [&](const Builtin& b) { return b.name == name; });
  if (at == kBuiltins.end()) {
    std::string all;
    for (const Builtin& b : kBuiltins) all += cat(all.empty() ? "" : ", ", b.name);
    throw UsageError(cat("chat template \"", name, "\" is none of ", all));
  }
  ChatTemplate chat = chat_template_from_jinja(at->source, bos.empty() ? at->bos : bos,
                                               eos.empty() ? at->eos : eos, cat("template ", name));
  chat.name = name;
  chat.has_input_section = at->has_input_section;
  return chat;
}

}  // namespace nibble
