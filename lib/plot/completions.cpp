// SPDX-License-Identifier: Apache-2.0
#include "plot/completions.h"

#include <algorithm>

#include "io/json.h"
#include "io/lines.h"

namespace nibble {
namespace {

constexpr size_t kLongest = 4000;  // bytes of a text that are shown

std::string shortened(std::string text) {
  if (text.size() <= kLongest) return text;
  size_t end = kLongest;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + " …";
}

std::string prompt_of(const Json& record) {
  if (const Json* prompt = record.find("prompt"); prompt && prompt->is_string())
    return prompt->as_string();
  std::string out;
  if (const Json* messages = record.find("messages"); messages && messages->is_array()) {
    for (const Json& m : messages->as_array()) {
      const Json* role = m.find("role");
      const Json* content = m.find("content");
      if (content && content->is_string())
        out += cat(out.empty() ? "" : "\n", role && role->is_string() ? role->as_string() : "?",
                   ": ", content->as_string());
    }
    return out;
  }
  for (const auto& [name, value] : record.as_object())
    if (value.is_string() && name != "completion" && name != "finish_reason" && name != "output")
      out += cat(out.empty() ? "" : "\n", name, ": ", value.as_string());
  return out;
}

}  // namespace

std::vector<Completion> read_completions(const std::string& path, int64_t count) {
  std::vector<std::string> lines;
  std::vector<int64_t> numbers;
  LineReader reader(path);
  for (std::string_view line; reader.next(line);)
    if (line.find_first_not_of(" \t") != std::string_view::npos) {
      lines.emplace_back(line);
      numbers.push_back(reader.number());
    }
  if (lines.empty()) throw DataError(cat(path, ": no completion in it; is it empty?"));
  const auto total = static_cast<int64_t>(lines.size());
  std::vector<Completion> out;
  for (int64_t i = 0; i < std::min(count, total); ++i) {
    const auto at = static_cast<size_t>(i * total / std::min(count, total));
    const std::string place = cat(path, ":", numbers[at]);
    const Json record = parse_json(lines[at], place);
    const Json* text = record.find("completion");
    if (!text || !text->is_string())
      throw DataError(cat(place, ": no \"completion\"; give what nibble-generate wrote"));
    out.push_back({shortened(prompt_of(record)), shortened(text->as_string())});
  }
  return out;
}

}  // namespace nibble
