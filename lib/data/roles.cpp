// SPDX-License-Identifier: Apache-2.0
#include "data/roles.h"

#include <algorithm>

#include "base/error.h"
#include "base/quote.h"

namespace nibble {
namespace {

constexpr std::string_view kRoles[] = {"system", "developer", "user",   "assistant",
                                       "tool",   "function",  "ipython"};

bool is_system(const Message& m) {
  return m.role == "system" || m.role == "developer";
}

bool is_tool(const Message& m) {
  return m.role == "tool" || m.role == "function" || m.role == "ipython";
}

bool calls(const Message& m) {
  return std::any_of(m.fields.begin(), m.fields.end(), [](const Json::Member& f) {
    return f.first == "tool_calls" && !f.second.is_null();
  });
}

}  // namespace

void check_roles(const ChatTemplate& chat, std::span<const Message> messages,
                 std::span<const std::string> expected) {
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::string& role = messages[i].role;
    if (std::find(std::begin(kRoles), std::end(kRoles), role) != std::end(kRoles)) continue;
    if (std::find(expected.begin(), expected.end(), role) != expected.end()) continue;
    if (!role.empty() && chat.jinja->mentions(role)) continue;
    throw DataError(cat("message ", i + 1, ": role ", quote(role), " is none of system, user, ",
                        "assistant and tool, and the template does not name it"));
  }
}

std::string order_fault(std::span<const Message> messages) {
  const auto at = [&](size_t i, const auto&... fault) {
    return cat("message ", i + 1, " (", messages[i].role, ") ", fault...);
  };
  bool begun = false;
  for (size_t i = 0; i < messages.size(); ++i) {
    const Message& m = messages[i];
    if (is_system(m)) {
      if (begun) return at(i, "comes after the conversation's begin");
      if (i > 0 && messages[i - 1].role == m.role) return at(i, "follows another of ", m.role);
      continue;
    }
    const Message* before = begun ? &messages[i - 1] : nullptr;
    begun = true;
    if (m.role == "user") {
      if (before && before->role == "user") return at(i, "follows another of user");
    } else if (m.role == "assistant") {
      if (!before) return at(i, "comes before any of user");
      if (before->role == "assistant" && !calls(*before) && !calls(m))
        return at(i, "follows another of assistant");
    } else if (is_tool(m)) {
      if (!before || (before->role != "assistant" && !is_tool(*before)))
        return at(i, "answers no call: nothing of assistant stands before it");
    }
  }
  return {};
}

}  // namespace nibble
