// SPDX-License-Identifier: Apache-2.0
#include "infer/chat.h"

#include <algorithm>

#include "infer/session.h"
#include "io/lines.h"

namespace nibble {
namespace {

// How much of the text's end could be the beginning of a stop string.
size_t may_become_stop(std::string_view text, std::span<const std::string> stops) {
  size_t most = 0;
  for (const std::string& stop : stops)
    for (size_t n = std::min(text.size(), stop.size() > 0 ? stop.size() - 1 : 0); n > most; --n)
      if (text.ends_with(std::string_view(stop).substr(0, n))) most = n;
  return most;
}

}  // namespace

std::string stream_completion(Generator& generator, const std::vector<int32_t>& prompt,
                              const Prompter& prompter, std::span<const std::string> stops,
                              const std::function<void(std::string_view)>& put) {
  Utf8Stream characters;
  std::string text;
  size_t shown = 0;
  const auto show_until = [&](size_t end) {
    if (end <= shown) return;
    put(characters.push(std::string_view(text).substr(shown, end - shown)));
    shown = end;
  };
  generator.run(
      {&prompt, 1}, 0,
      [&](size_t, std::span<const int32_t> tokens) {
        text = prompter.text(tokens);
        const bool stop = cut_at_stop(text, stops);
        show_until(stop ? text.size() : text.size() - may_become_stop(text, stops));
        return stop;
      },
      [&](size_t, Completion completion) {
        text = prompter.text(completion.tokens);
        cut_at_stop(text, stops);
        show_until(text.size());
      });
  put(characters.flush());
  return text;
}

void chat(const Model& model, const Prompter& prompter, const GeneratorOptions& given,
          std::span<const std::string> stops) {
  constexpr int64_t kMostContext = 8192;
  GeneratorOptions options = given;
  options.batch_size = 1;
  options.context = std::min(options.context, kMostContext);
  Generator generator(model, options);
  LineReader in("-");
  LineWriter out("-");
  std::vector<Message> messages;
  const auto put = [&](std::string_view text) { out.text(text); };
  put("> ");
  for (std::string_view line; in.next(line); put("> ")) {
    if (line == "/quit") break;
    if (line == "/new") messages.clear();
    if (line.empty() || line == "/new") continue;
    messages.push_back({.role = "user", .content = std::string(line)});
    std::vector<int32_t> ids = prompter.from_messages(messages);
    const auto room = static_cast<size_t>(options.context - 1);
    while (ids.size() > room && messages.size() > 2) {
      messages.erase(messages.begin(), messages.begin() + 2);
      ids = prompter.from_messages(messages);
    }
    if (ids.size() > room) {
      put("(this is longer than the context)\n");
      messages.pop_back();
      continue;
    }
    const std::string answer = stream_completion(generator, ids, prompter, stops, put);
    put("\n");
    messages.push_back({.role = "assistant", .content = answer});
  }
}

}  // namespace nibble
