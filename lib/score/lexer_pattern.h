// SPDX-License-Identifier: Apache-2.0
// Patterns of a Lexer, parsed and compiled to a nondeterministic automaton over UTF-16 units.
//
//   abc        letters as they stand, in either case       \. \( \n \t \uXXXX    a unit by itself
//   [a-z^'] [^...]   one unit of a set, case as written    {name}   what a name stands for
//   x|y  (x)  x*  x+  x?  x{2}  x{1,3}                     as everywhere
//
// Either case is meant as Java's Character means it: "k" also matches the Kelvin sign U+212A, "s"
// the long s U+017F, "i" U+0130 and U+0131.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nibble {

/// Ranges of UTF-16 units, both ends included, in order, apart from each other.
using UnitSet = std::vector<std::pair<char16_t, char16_t>>;
/// In order and joined where they touch.
UnitSet normalize(UnitSet set);
UnitSet complement(const UnitSet& set);

/// A nondeterministic automaton: nodes that consume one unit of a set, or branch, or accept.
struct Nfa {
  enum class Kind : uint8_t { kUnit, kBranch, kAccept };
  struct Node {
    Kind kind;
    uint32_t set = 0;    // kUnit
    int32_t out = -1;    // kUnit and kBranch
    int32_t other = -1;  // kBranch, the second way
    int32_t rule = -1;   // kAccept
  };
  std::vector<Node> nodes;
  std::vector<UnitSet> sets;  // without repetition
};

/// Compiles patterns that share names.
class PatternCompiler {
 public:
  /// A name for a set that no pattern could write out.
  void name_set(std::string_view name, UnitSet set);
  /// A name for a pattern, which may use the names before it.
  void name_pattern(std::string_view name, std::string_view pattern);
  /// Adds nodes that match the patterns one after another and then accept `rule`; returns the
  /// first.
  int32_t compile(const std::vector<std::string_view>& patterns, int32_t rule);

  Nfa& nfa() { return nfa_; }

 private:
  friend class PatternParser;
  enum class Op : uint8_t { kSet, kEmpty, kJoin, kEither, kRepeat };
  struct Tree {
    Op op;
    uint32_t set = 0;
    int left = -1, right = -1;
    int least = 0, most = 0;  // kRepeat; most < 0: any number
  };
  int add(Tree tree);
  uint32_t add_set(UnitSet set);
  int32_t emit(Nfa::Node node);
  int32_t generate(int tree, int32_t next);
  int parse(std::string_view pattern);

  std::vector<Tree> trees_;
  std::map<std::string, int, std::less<>> names_;
  std::map<UnitSet, uint32_t> set_ids_;
  Nfa nfa_;
};

}  // namespace nibble
