// SPDX-License-Identifier: Apache-2.0
// The tokenizers of sacrebleu's BLEU: a line with spaces put between its tokens, to be split at
// white space. 13a is the rules of NIST's mteval-v13a for Western languages; intl those of
// mteval-v14, by Unicode's categories of punctuation and symbols; char has every character a token.
#pragma once

#include <string>
#include <string_view>

namespace nibble {

/// Writes the tokenized line over `out`.
using LineTokenizer = void (*)(std::string_view line, std::string& out);

void tokenize_13a(std::string_view line, std::string& out);
void tokenize_intl(std::string_view line, std::string& out);
void tokenize_char(std::string_view line, std::string& out);
void tokenize_none(std::string_view line, std::string& out);

/// 13a's rules, for those who share them: every mark of punctuation but ' , - and . becomes a word;
/// then stops and commas do but between digits, and dashes after a digit.
void split_punctuation(std::string& text);
void split_stops(std::string& text);
/// Replaces the entities &quot; &amp; &lt; and &gt;, in this order.
void replace_entities(std::string& text);
void replace_all(std::string& text, std::string_view from, std::string_view to);

/// "13a", "intl", "char" or "none".
LineTokenizer line_tokenizer(std::string_view name);

}  // namespace nibble
