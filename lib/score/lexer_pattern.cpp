// SPDX-License-Identifier: Apache-2.0
#include "score/lexer_pattern.h"

#include <algorithm>

#include "base/error.h"
#include "text/unicode.h"

namespace nibble {

UnitSet normalize(UnitSet set) {
  std::ranges::sort(set);
  UnitSet out;
  for (const auto& [first, last] : set) {
    if (!out.empty() && first <= out.back().second + 1)
      out.back().second = std::max(out.back().second, last);
    else
      out.emplace_back(first, last);
  }
  return out;
}

UnitSet complement(const UnitSet& set) {
  UnitSet out;
  unsigned next = 0;
  for (const auto& [first, last] : set) {
    if (first > next)
      out.emplace_back(static_cast<char16_t>(next), static_cast<char16_t>(first - 1));
    next = last + 1u;
  }
  if (next <= 0xFFFF) out.emplace_back(static_cast<char16_t>(next), char16_t{0xFFFF});
  return out;
}

namespace {

UnitSet either_case(char16_t unit) {
  const auto lower = static_cast<char16_t>(unit | 0x20);
  if (lower < 'a' || lower > 'z') return {{unit, unit}};
  const auto upper = static_cast<char16_t>(lower ^ 0x20);
  UnitSet set = {{upper, upper}, {lower, lower}};
  if (lower == 'k') set.emplace_back(0x212A, 0x212A);
  if (lower == 's') set.emplace_back(0x17F, 0x17F);
  if (lower == 'i') set.emplace_back(0x130, 0x131);
  return set;
}

}  // namespace

// Recursive descent; patterns are ours, so a fault in one is a bug.
class PatternParser {
 public:
  PatternParser(PatternCompiler& compiler, std::string_view pattern)
      : compiler_(compiler), pattern_(pattern) {}

  int parse() {
    const int tree = either();
    CHECK(at_ == pattern_.size());
    return tree;
  }

 private:
  using Op = PatternCompiler::Op;

  bool take(char c) {
    if (at_ >= pattern_.size() || pattern_[at_] != c) return false;
    ++at_;
    return true;
  }
  int either() {
    int tree = join();
    while (take('|')) tree = compiler_.add({.op = Op::kEither, .left = tree, .right = join()});
    return tree;
  }
  int join() {
    int tree = -1;
    while (at_ < pattern_.size() && pattern_[at_] != '|' && pattern_[at_] != ')') {
      const int next = repeat();
      tree = tree < 0 ? next : compiler_.add({.op = Op::kJoin, .left = tree, .right = next});
    }
    return tree < 0 ? compiler_.add({.op = Op::kEmpty}) : tree;
  }
  bool number(int& value) {
    const size_t start = at_;
    value = 0;
    while (at_ < pattern_.size() && pattern_[at_] >= '0' && pattern_[at_] <= '9')
      value = value * 10 + (pattern_[at_++] - '0');
    return at_ > start;
  }
  int repeat() {
    int tree = single();
    for (;;) {
      int least = 0, most = -1;
      if (take('+')) {
        least = 1;
      } else if (take('?')) {
        most = 1;
      } else if (at_ + 1 < pattern_.size() && pattern_[at_] == '{' && pattern_[at_ + 1] >= '0' &&
                 pattern_[at_ + 1] <= '9') {
        ++at_;
        CHECK(number(least));
        most = least;
        if (take(',')) CHECK(number(most));
        CHECK(take('}'));
      } else if (!take('*')) {
        return tree;
      }
      tree = compiler_.add({.op = Op::kRepeat, .left = tree, .least = least, .most = most});
    }
  }
  int single() {
    if (take('(')) {
      const int tree = either();
      CHECK(take(')'));
      return tree;
    }
    if (take('{')) {
      const size_t end = pattern_.find('}', at_);
      CHECK(end != pattern_.npos);
      const auto found = compiler_.names_.find(pattern_.substr(at_, end - at_));
      CHECK(found != compiler_.names_.end());
      at_ = end + 1;
      return found->second;
    }
    if (take('[')) return compiler_.add({.op = Op::kSet, .set = compiler_.add_set(set())});
    const bool escaped = at_ < pattern_.size() && pattern_[at_] == '\\';
    const char16_t c = unit();
    UnitSet one = escaped ? UnitSet{{c, c}} : either_case(c);
    return compiler_.add({.op = Op::kSet, .set = compiler_.add_set(std::move(one))});
  }
  UnitSet set() {
    const bool inverted = take('^');
    UnitSet out;
    while (!take(']')) {
      const char16_t first = unit();
      char16_t last = first;
      if (at_ + 1 < pattern_.size() && pattern_[at_] == '-' && pattern_[at_ + 1] != ']') {
        ++at_;
        last = unit();
      }
      CHECK(first <= last);
      out.emplace_back(first, last);
    }
    out = normalize(std::move(out));
    return inverted ? complement(out) : out;
  }
  char16_t unit() {
    CHECK(at_ < pattern_.size());
    if (!take('\\')) {
      const CodePoint p = read_utf8(pattern_, at_);
      CHECK(p.code <= 0xFFFF);
      at_ += static_cast<size_t>(p.size);
      return static_cast<char16_t>(p.code);
    }
    CHECK(at_ < pattern_.size());
    const char c = pattern_[at_++];
    switch (c) {
      case 'n':
        return u'\n';
      case 'r':
        return u'\r';
      case 't':
        return u'\t';
      case 'v':
        return u'\v';
      case 'f':
        return u'\f';
      case '0':
        return u'\0';
      case 'u':
        break;
      default:
        return static_cast<char16_t>(c);
    }
    unsigned code = 0;
    const char* digits = pattern_.data() + at_;
    CHECK(at_ + 4 <= pattern_.size() &&
          std::from_chars(digits, digits + 4, code, 16).ptr == digits + 4);
    at_ += 4;
    return static_cast<char16_t>(code);
  }

  PatternCompiler& compiler_;
  std::string_view pattern_;
  size_t at_ = 0;
};

int PatternCompiler::add(Tree tree) {
  trees_.push_back(tree);
  return static_cast<int>(trees_.size()) - 1;
}

uint32_t PatternCompiler::add_set(UnitSet set) {
  set = normalize(std::move(set));
  const auto [at, added] = set_ids_.emplace(set, static_cast<uint32_t>(nfa_.sets.size()));
  if (added) nfa_.sets.push_back(std::move(set));
  return at->second;
}

int PatternCompiler::parse(std::string_view pattern) {
  return PatternParser(*this, pattern).parse();
}

void PatternCompiler::name_set(std::string_view name, UnitSet set) {
  names_[std::string(name)] = add({.op = Op::kSet, .set = add_set(std::move(set))});
}

void PatternCompiler::name_pattern(std::string_view name, std::string_view pattern) {
  names_[std::string(name)] = parse(pattern);
}

int32_t PatternCompiler::emit(Nfa::Node node) {
  nfa_.nodes.push_back(node);
  return static_cast<int32_t>(nfa_.nodes.size()) - 1;
}

// Nodes are made from the end of a pattern to its start: `next` is where a match goes on.
int32_t PatternCompiler::generate(int tree, int32_t next) {
  const Tree t = trees_[static_cast<size_t>(tree)];
  switch (t.op) {
    case Op::kEmpty:
      return next;
    case Op::kSet:
      return emit({.kind = Nfa::Kind::kUnit, .set = t.set, .out = next});
    case Op::kJoin:
      return generate(t.left, generate(t.right, next));
    case Op::kEither: {
      const int32_t left = generate(t.left, next);
      return emit({.kind = Nfa::Kind::kBranch, .out = left, .other = generate(t.right, next)});
    }
    case Op::kRepeat:
      break;
  }
  if (t.most < 0) {
    const int32_t loop = emit({.kind = Nfa::Kind::kBranch, .other = next});
    const int32_t body = generate(t.left, loop);
    nfa_.nodes[static_cast<size_t>(loop)].out = body;
    next = loop;
  } else {
    for (int i = t.least; i < t.most; ++i)
      next = emit({.kind = Nfa::Kind::kBranch, .out = generate(t.left, next), .other = next});
  }
  for (int i = 0; i < t.least; ++i) next = generate(t.left, next);
  return next;
}

int32_t PatternCompiler::compile(const std::vector<std::string_view>& patterns, int32_t rule) {
  int32_t next = emit({.kind = Nfa::Kind::kAccept, .rule = rule});
  for (size_t i = patterns.size(); i-- > 0;) next = generate(parse(patterns[i]), next);
  return next;
}

}  // namespace nibble
