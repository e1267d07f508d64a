// SPDX-License-Identifier: Apache-2.0
// Where the turns are in a rendered conversation, for render() in text/chat_template.h.
#pragma once

#include <span>
#include <string_view>

#include "text/chat_template.h"
#include "text/jinja.h"

namespace nibble {

/// The source that writes a conversation with these inputs.
const jinja::Template& source_for(const ChatTemplate& chat, const ChatInputs& inputs);

jinja::Rendered render_chat(const ChatTemplate& chat, std::span<const Message> messages,
                            bool add_generation_prompt, const ChatInputs& inputs);

/// Contents that no conversation has: from a private use area. The second is there in case a
/// content begins with the first.
inline constexpr std::string_view kOtherContent = "\xEE\x80\x80",
                                  kYetAnotherContent = "\xEE\x80\x81";

/// A cut inside a mark ("<|STA" of "<|START|>"), or inside a character, moved before it.
size_t whole_marks(std::string_view text, size_t cut);

/// Where the conversation's text differs from that without messages i up to end, or where the
/// template refuses that, with other contents of theirs.
jinja::Range written_for(const ChatTemplate& chat, std::span<const Message> messages,
                         const ChatInputs& inputs, std::string_view text, size_t i, size_t end);

}  // namespace nibble
