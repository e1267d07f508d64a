// SPDX-License-Identifier: Apache-2.0
// Who speaks in a conversation, and in which order.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "text/chat_template.h"

namespace nibble {

/// Throws DataError where a message's role is none that chat templates know (system, developer,
/// user, assistant, tool, function, ipython), and neither the template's source nor `expected` has
/// it: a slip, whose turn would be written and never trained on.
void check_roles(const ChatTemplate& chat, std::span<const Message> messages,
                 std::span<const std::string> expected);

/// What is wrong with the order, "message 3 (user) follows another of user"; empty where nothing
/// is. A system message comes first; the user begins; user and assistant alternate, but an
/// assistant may go on after or with a tool call; what a tool gives follows an assistant or another
/// tool.
std::string order_fault(std::span<const Message> messages);

}  // namespace nibble
