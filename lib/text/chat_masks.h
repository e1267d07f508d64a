// SPDX-License-Identifier: Apache-2.0
// Where the turns are in a rendered conversation, for render() in text/chat_template.h.
#pragma once

#include <span>

#include "text/chat_template.h"
#include "text/jinja.h"

namespace nibble {

/// The source that writes a conversation with these inputs.
const jinja::Template& source_for(const ChatTemplate& chat, const ChatInputs& inputs);

jinja::Rendered render_chat(const ChatTemplate& chat, std::span<const Message> messages,
                            bool add_generation_prompt, const ChatInputs& inputs);

}  // namespace nibble
