// SPDX-License-Identifier: Apache-2.0
// Writes the whole automaton of the Penn Treebank lexer: the classes of all UTF-16 units, then a
// line a state: the action of the rule that it accepts (-1: none), the rule, and where each class
// leads.
#include <cstdio>

#include "score/ptb_rules.h"

int main() {
  nibble::Lexer lexer = nibble::make_ptb_lexer();
  nibble::LexerAutomaton& automaton = lexer.automaton();
  std::printf("%zu", lexer.classes());
  for (unsigned unit = 0; unit <= 0xFFFF; ++unit)
    std::printf(" %d", lexer.class_of(static_cast<char16_t>(unit)));
  std::printf("\n");
  for (size_t state = 0; state < automaton.states(); ++state) {
    const int32_t rule = automaton.rule(static_cast<int32_t>(state));
    const int action = rule < 0 ? -1 : nibble::ptb_rules()[static_cast<size_t>(rule)].action;
    std::printf("%d %d", action, rule);
    for (size_t c = 0; c < lexer.classes(); ++c)
      std::printf(" %d", automaton.step(static_cast<int32_t>(state), static_cast<uint16_t>(c)));
    std::printf("\n");
  }
}
