// SPDX-License-Identifier: Apache-2.0
// What of a rendered text was written for a message that has no turn of its own.
#include <algorithm>

#include "base/common_prefix.h"
#include "base/error.h"
#include "text/chat_masks.h"

namespace nibble {

size_t whole_marks(std::string_view text, size_t cut) {
  while (cut > 0 && cut < text.size() && (static_cast<unsigned char>(text[cut]) & 0xC0u) == 0x80)
    --cut;
  const size_t open = text.substr(0, cut).find_last_of("<[>] \n");
  const bool inside = open != std::string_view::npos && (text[open] == '<' || text[open] == '[');
  return inside ? open : cut;
}

jinja::Range written_for(const ChatTemplate& chat, std::span<const Message> messages,
                         const ChatInputs& inputs, std::string_view text, size_t i, size_t end) {
  const auto at = [&](size_t n) { return messages.begin() + static_cast<std::ptrdiff_t>(n); };
  std::vector<Message> others(messages.begin(), at(i));
  others.insert(others.end(), at(end), messages.end());
  std::string without;
  try {
    without = render_chat(chat, others, false, inputs).text;
  } catch (const jinja::TemplateError&) {  // a conversation without them that the template refuses
    others.assign(messages.begin(), messages.end());
    for (size_t n = i; n < end; ++n) {
      std::erase_if(others[n].fields, [](const Json::Member& f) { return f.first == "content"; });
      others[n].content = kOtherContent;
    }
    without = render_chat(chat, others, false, inputs).text;
  }
  const size_t begin = whole_marks(text, common_prefix(text, without));
  const size_t most = std::min(text.size(), without.size() - std::min(begin, without.size()));
  size_t back = 0;
  while (back < most && text[text.size() - 1 - back] == without[without.size() - 1 - back]) ++back;
  size_t stop = text.size() - back;
  if (whole_marks(text, stop) != stop)  // the end of a mark that both have
    stop = std::min(text.find_first_of(">]", stop), text.size() - 1) + 1;
  return {begin, std::max(begin, stop)};
}

}  // namespace nibble
