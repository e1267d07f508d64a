// SPDX-License-Identifier: Apache-2.0
// Lexer: splits text by patterns as lex and its kin do. At each place the rule with the longest
// match wins, the earliest of those equally long; a rule may want its match to be followed by
// something, which counts for the length and is then given back. Runs a deterministic automaton
// of which the states are made when text first reaches them, so start-up costs little.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "score/lexer_pattern.h"

namespace nibble {

struct LexerName {
  std::string_view name, pattern;
};
struct LexerRule {
  int action;  // the user's own
  std::string_view pattern;
  std::string_view before = {};  // what must follow the match
};

/// An automaton made deterministic as it runs. Not for several threads at once.
class LexerAutomaton {
 public:
  static constexpr int32_t kDead = -1;
  /// `starts`: nodes in which it may begin. `classes`: the class of units of each set, by set.
  LexerAutomaton(const Nfa& nfa, const std::vector<std::vector<bool>>& members, size_t classes,
                 std::span<const int32_t> starts);

  int32_t start() const { return 0; }
  int32_t step(int32_t state, uint16_t unit_class) {
    const int32_t next = next_[static_cast<size_t>(state) * classes_ + unit_class];
    return next == kUnknown ? make(state, unit_class) : next;
  }
  /// The earliest rule that accepts in this state, or -1.
  int32_t rule(int32_t state) const { return rules_[static_cast<size_t>(state)]; }
  size_t states() const { return rules_.size(); }

 private:
  static constexpr int32_t kUnknown = -2;
  int32_t make(int32_t state, uint16_t unit_class);
  int32_t intern(std::vector<int32_t> nodes);
  void add_closure(int32_t node, std::vector<int32_t>& nodes);

  const Nfa& nfa_;
  const std::vector<std::vector<bool>>& members_;
  size_t classes_;
  std::vector<int32_t> next_, rules_;
  std::vector<std::vector<int32_t>> nodes_;  // of each state, in order, without branches
  std::map<std::vector<int32_t>, int32_t> ids_;
  std::vector<uint32_t> seen_;  // by node: the last closure that met it
  uint32_t closure_ = 0;
};

class Lexer {
 public:
  /// `sets` are names of sets that no pattern could write out.
  Lexer(std::span<const std::pair<std::string_view, UnitSet>> sets,
        std::span<const LexerName> names, std::span<const LexerRule> rules);
  Lexer(const Lexer&) = delete;
  Lexer& operator=(const Lexer&) = delete;

  struct Match {
    int32_t rule = -1;  // -1: nothing matches here
    size_t end = 0;
  };
  Match match(std::u16string_view text, size_t at);

  /// For tests that compare automata.
  LexerAutomaton& automaton() { return *main_; }
  uint16_t class_of(char16_t unit) const { return class_of_[unit]; }
  size_t classes() const { return classes_; }

 private:
  void make_classes();

  PatternCompiler compiler_;
  std::vector<uint16_t> class_of_;
  std::vector<std::vector<bool>> members_;  // of each set, by class
  size_t classes_ = 0;
  std::unique_ptr<LexerAutomaton> main_;
  struct Followed {
    std::unique_ptr<LexerAutomaton> head, tail;  // null where nothing must follow
  };
  std::vector<Followed> followed_;  // by rule
  std::vector<size_t> ends_;
};

}  // namespace nibble
