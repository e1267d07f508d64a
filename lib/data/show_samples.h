// SPDX-License-Identifier: Apache-2.0
// A sample as people read it: what is trained on stands out, special tokens are marked, and nothing
// in the text can touch the terminal.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "data/sample_reader.h"
#include "io/json.h"

namespace nibble {

/// Whether --color=auto|always|never colours standard output: on a terminal, unless NO_COLOR is set
/// or TERM is "dumb".
bool wants_color(std::string_view choice);

/// "rows.jsonl:12: 120 tokens, 40 trained on (33.3%)", the text, and a line a mistake. In colour,
/// what is trained on is bold orange and special tokens are reversed: neither needs red told from
/// green, nor a dark or light ground. Without, the first stands in double brackets (U+27E6) and the
/// second in angle quotes (U+2039).
std::string show_sample(const std::string& place, const Sample& sample, bool color);
/// The same for --json.
Json sample_json(const std::string& place, const Sample& sample);

/// Which samples of a file are shown, counted from 1: "3" is the first three, "7-9" those.
struct ShowRange {
  int64_t first = 1, last = 3;
};
/// Throws UsageError.
ShowRange parse_show_range(std::string_view text);

/// Gives those of the file to `sink`, each as text or as a line of JSON. Throws UsageError where
/// the file holds ids and there is no tokenizer to read them by, unless as JSON.
void show_file(const std::string& path, const SampleRules& rules, const ShowRange& range,
               bool color, bool json, BadRecords& bad,
               const std::function<void(std::string_view)>& sink);

}  // namespace nibble
