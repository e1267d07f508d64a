// SPDX-License-Identifier: Apache-2.0
// A template's source as a list of lexemes: text between tags, with whitespace control done, and
// the tokens inside tags.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nibble::jinja {

enum class LexemeKind : unsigned char {
  kText,
  kVariableBegin,
  kVariableEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Lexeme {
  LexemeKind kind = LexemeKind::kEnd;
  int line = 1;
  std::string text;  // strings unescaped, numbers without their underscores
};

/// A fault in a source, at a line.
struct SyntaxFault {
  int line;
  std::string message;
};

/// What stands between a string's quotes, with its escapes read as Python does. Throws SyntaxFault.
std::string unescaped(std::string_view text, int line);

/// Ends with a kEnd. Throws SyntaxFault.
std::vector<Lexeme> lex(std::string_view source);

}  // namespace nibble::jinja
