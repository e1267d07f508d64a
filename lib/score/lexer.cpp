// SPDX-License-Identifier: Apache-2.0
#include "score/lexer.h"

#include <algorithm>
#include <limits>

#include "base/error.h"

namespace nibble {

LexerAutomaton::LexerAutomaton(const Nfa& nfa, const std::vector<std::vector<bool>>& members,
                               size_t classes, std::span<const int32_t> starts)
    : nfa_(nfa), members_(members), classes_(classes), seen_(nfa.nodes.size(), 0) {
  std::vector<int32_t> nodes;
  ++closure_;
  for (const int32_t node : starts) add_closure(node, nodes);
  CHECK(intern(std::move(nodes)) == start());
}

void LexerAutomaton::add_closure(int32_t node, std::vector<int32_t>& nodes) {
  std::vector<int32_t> open = {node};
  while (!open.empty()) {
    const int32_t at = open.back();
    open.pop_back();
    uint32_t& seen = seen_[static_cast<size_t>(at)];
    if (seen == closure_) continue;
    seen = closure_;
    const Nfa::Node& n = nfa_.nodes[static_cast<size_t>(at)];
    if (n.kind != Nfa::Kind::kBranch) {
      nodes.push_back(at);
      continue;
    }
    open.push_back(n.out);
    open.push_back(n.other);
  }
}

int32_t LexerAutomaton::intern(std::vector<int32_t> nodes) {
  if (nodes.empty()) return kDead;
  std::ranges::sort(nodes);
  const auto [at, added] = ids_.emplace(std::move(nodes), static_cast<int32_t>(rules_.size()));
  if (!added) return at->second;
  int32_t rule = std::numeric_limits<int32_t>::max();
  for (const int32_t node : at->first) {
    const Nfa::Node& n = nfa_.nodes[static_cast<size_t>(node)];
    if (n.kind == Nfa::Kind::kAccept) rule = std::min(rule, n.rule);
  }
  rules_.push_back(rule == std::numeric_limits<int32_t>::max() ? -1 : rule);
  nodes_.push_back(at->first);
  next_.resize(next_.size() + classes_, kUnknown);
  return at->second;
}

int32_t LexerAutomaton::make(int32_t state, uint16_t unit_class) {
  std::vector<int32_t> nodes;
  ++closure_;
  for (const int32_t node : nodes_[static_cast<size_t>(state)]) {
    const Nfa::Node& n = nfa_.nodes[static_cast<size_t>(node)];
    if (n.kind == Nfa::Kind::kUnit && members_[n.set][unit_class]) add_closure(n.out, nodes);
  }
  const int32_t next = intern(std::move(nodes));
  next_[static_cast<size_t>(state) * classes_ + unit_class] = next;
  return next;
}

Lexer::Lexer(std::span<const std::pair<std::string_view, UnitSet>> sets,
             std::span<const LexerName> names, std::span<const LexerRule> rules) {
  for (const auto& [name, set] : sets) compiler_.name_set(name, set);
  for (const LexerName& n : names) compiler_.name_pattern(n.name, n.pattern);
  std::vector<int32_t> starts;
  std::vector<std::pair<int32_t, int32_t>> parts(rules.size(), {-1, -1});
  for (size_t i = 0; i < rules.size(); ++i) {
    const auto rule = static_cast<int32_t>(i);
    if (rules[i].before.empty()) {
      starts.push_back(compiler_.compile({rules[i].pattern}, rule));
      continue;
    }
    starts.push_back(compiler_.compile({rules[i].pattern, rules[i].before}, rule));
    parts[i] = {compiler_.compile({rules[i].pattern}, rule),
                compiler_.compile({rules[i].before}, rule)};
  }
  make_classes();
  const Nfa& nfa = compiler_.nfa();
  const auto automaton = [&](std::span<const int32_t> from) {
    return std::make_unique<LexerAutomaton>(nfa, members_, classes_, from);
  };
  main_ = automaton(starts);
  followed_.resize(rules.size());
  for (size_t i = 0; i < rules.size(); ++i)
    if (parts[i].first >= 0)
      followed_[i] = {automaton({&parts[i].first, 1}), automaton({&parts[i].second, 1})};
}

// Units that the same sets hold are one class.
void Lexer::make_classes() {
  const std::vector<UnitSet>& sets = compiler_.nfa().sets;
  std::vector<unsigned> bounds = {0, 0x10000};
  for (const UnitSet& set : sets)
    for (const auto& [first, last] : set) {
      bounds.push_back(first);
      bounds.push_back(last + 1u);
    }
  std::ranges::sort(bounds);
  bounds.erase(std::unique(bounds.begin(), bounds.end()), bounds.end());
  std::vector<std::vector<bool>> holders(bounds.size() - 1, std::vector<bool>(sets.size()));
  for (size_t s = 0; s < sets.size(); ++s)
    for (const auto& [first, last] : sets[s])
      for (auto at = std::ranges::lower_bound(bounds, first); *at <= last; ++at)
        holders[static_cast<size_t>(at - bounds.begin())][s] = true;
  std::map<std::vector<bool>, uint16_t> ids;
  class_of_.resize(0x10000);
  for (size_t b = 0; b + 1 < bounds.size(); ++b) {
    const uint16_t id = ids.emplace(holders[b], static_cast<uint16_t>(ids.size())).first->second;
    std::fill(class_of_.begin() + bounds[b], class_of_.begin() + bounds[b + 1], id);
  }
  classes_ = ids.size();
  members_.assign(sets.size(), std::vector<bool>(classes_));
  for (const auto& [held, id] : ids)
    for (size_t s = 0; s < sets.size(); ++s) members_[s][id] = held[s];
}

Lexer::Match Lexer::match(std::u16string_view text, size_t at) {
  Match best;
  int32_t state = main_->start();
  for (size_t i = at; i < text.size();) {
    state = main_->step(state, class_of_[text[i++]]);
    if (state == LexerAutomaton::kDead) break;
    const int32_t rule = main_->rule(state);
    if (rule >= 0) best = {rule, i};
  }
  if (best.rule < 0 || !followed_[static_cast<size_t>(best.rule)].head) return best;
  // The longest head of which the rest is what must follow.
  auto& [head, tail] = followed_[static_cast<size_t>(best.rule)];
  ends_.clear();
  state = head->start();
  for (size_t i = at; i < best.end;) {
    state = head->step(state, class_of_[text[i++]]);
    if (state == LexerAutomaton::kDead) break;
    if (head->rule(state) >= 0) ends_.push_back(i);
  }
  while (!ends_.empty()) {
    size_t i = ends_.back();
    const size_t end = i;
    ends_.pop_back();
    state = tail->start();
    while (i < best.end && state != LexerAutomaton::kDead)
      state = tail->step(state, class_of_[text[i++]]);
    if (state != LexerAutomaton::kDead && tail->rule(state) >= 0) return {best.rule, end};
  }
  CHECK(false);
}

}  // namespace nibble
