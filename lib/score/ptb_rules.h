// SPDX-License-Identifier: Apache-2.0
// What is a token of English text in Penn Treebank style, as Stanford CoreNLP 3.4.1 has it: the
// rules of its lexer, said again for ours. tests/interop compares the two automata state by state.
#pragma once

#include "score/lexer.h"

namespace nibble {

/// What becomes of a match.
enum class PtbAction : uint8_t {
  kSkip,           // white space and what is not text
  kLine,           // the end of a line
  kText,           // a token as it stands
  kNoSoftHyphens,  // ... without soft hyphens
  kNoSpaces,       // ... with spaces made unbreakable
  kNoParentheses,  // ... with -LRB- and -RRB- for parentheses
  kPhone,          // ... both of these
  kAmpersand,      // ... with & for &amp;
  kOpening,        // quotes, taken to open
  kClosing,        // ... to close
  kDash,           // "--"
  kHyphens,        // three or four are a dash, else as they stand
  kEllipsis,       // "..."
  kFraction,       // 1/2 for one letter
  kCurrency,       // $, # and cents for other signs
  kLess,           // < and >, also of entities
  kGreater,
  kOpenRound,  // brackets: -LRB- and so on
  kCloseRound,
  kOpenSquare,
  kCloseSquare,
  kOpenCurly,
  kCloseCurly,
  kEndsSentence,         // an abbreviation with its period, and the period again
  kAcronymEndsSentence,  // likewise, but of a single letter, period apart
  kSplitBefore2,         // wan|na: a token without its last two letters, which come next
  kSplitBefore3,         // can|not
};

/// The rules, in order.
std::span<const LexerRule> ptb_rules();
/// The lexer of text, before tokens are lowercased.
Lexer make_ptb_lexer();

}  // namespace nibble
