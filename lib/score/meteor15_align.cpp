// SPDX-License-Identifier: Apache-2.0
#include "score/meteor15_align.h"

#include <algorithm>
#include <cstdlib>

namespace nibble {
namespace {

constexpr int kBeam = 40;

// Words [start, start + length) of the reference with [other, other + other_length) of the
// hypothesis.
struct Match {
  MeteorMatcher matcher;
  int start, length, other, other_length;
};

// Bits of words, of as many as it takes.
class Used {
 public:
  explicit Used(size_t words) : bits_((words + 63) / 64) {}
  bool any(int start, int length) const {
    for (int i = start; i < start + length; ++i)
      if (test(i)) return true;
    return false;
  }
  void set(int start, int length) {
    for (int i = start; i < start + length; ++i)
      bits_[static_cast<size_t>(i) / 64] |= uint64_t{1} << (i % 64);
  }
  bool test(int i) const { return bits_[static_cast<size_t>(i) / 64] >> (i % 64) & 1; }

 private:
  std::vector<uint64_t> bits_;
};

struct Stage {
  std::vector<std::vector<Match>> matches;  // by the reference word where they start
  std::vector<int> covered, other_covered;  // by how many matches

  void add(const Match& m) {
    matches[static_cast<size_t>(m.start)].push_back(m);
    for (int i = 0; i < m.length; ++i) ++covered[static_cast<size_t>(m.start + i)];
    for (int i = 0; i < m.other_length; ++i) ++other_covered[static_cast<size_t>(m.other + i)];
  }
};

bool share(const std::vector<int32_t>& a, const std::vector<int32_t>& b) {
  for (auto i = a.begin(), j = b.begin(); i != a.end() && j != b.end();) {
    if (*i == *j) return true;
    if (*i < *j)
      ++i;
    else
      ++j;
  }
  return false;
}

void match_words(const MeteorWords& hypothesis, const MeteorWords& reference, MeteorMatcher matcher,
                 Stage& stage, auto&& same) {
  for (size_t j = 0; j < reference.size(); ++j)
    for (size_t i = 0; i < hypothesis.size(); ++i)
      if (same(*hypothesis[i], *reference[j]))
        stage.add({matcher, static_cast<int>(j), 1, static_cast<int>(i), 1});
}

// Calls use(start, length, other, other_length) where a phrase of `words` has a paraphrase in
// `others`.
void match_phrases(const MeteorWords& words, const MeteorWords& others,
                   const Paraphrases& paraphrases, auto&& use) {
  for (size_t start = 0; start < words.size(); ++start) {
    int32_t phrase = Paraphrases::kNone;
    for (size_t end = start; end < words.size() && words[end]->number >= 0; ++end) {
      phrase = paraphrases.longer(phrase, words[end]->number);
      if (phrase == Paraphrases::kNone) break;
      for (const std::vector<int32_t>& wanted : paraphrases.of(phrase))
        for (size_t at = 0; at + wanted.size() <= others.size(); ++at)
          if (std::equal(wanted.begin(), wanted.end(),
                         others.begin() + static_cast<std::ptrdiff_t>(at),
                         [](int32_t number, const MeteorWord* w) { return number == w->number; }))
            use(static_cast<int>(start), static_cast<int>(end - start) + 1, static_cast<int>(at),
                static_cast<int>(wanted.size()));
    }
  }
}

Stage propose(const MeteorWords& hypothesis, const MeteorWords& reference, bool use_synonyms,
              const Paraphrases* paraphrases) {
  Stage stage{std::vector<std::vector<Match>>(reference.size()), std::vector<int>(reference.size()),
              std::vector<int>(hypothesis.size())};
  const auto exact = [](const MeteorWord& a, const MeteorWord& b) { return a.hash == b.hash; };
  match_words(hypothesis, reference, kMeteorExact, stage, exact);
  if (std::ranges::equal(hypothesis, reference,
                         [&](const auto* a, const auto* b) { return exact(*a, *b); }))
    return stage;
  match_words(hypothesis, reference, kMeteorStem, stage,
              [&](const MeteorWord& a, const MeteorWord& b) {
                return a.stem_hash == b.stem_hash && !exact(a, b);
              });
  if (use_synonyms)
    match_words(hypothesis, reference, kMeteorSynonym, stage,
                [&](const MeteorWord& a, const MeteorWord& b) {
                  return !exact(a, b) && share(a.synonyms, b.synonyms);
                });
  if (paraphrases == nullptr) return stage;
  match_phrases(reference, hypothesis, *paraphrases,
                [&](int start, int length, int other, int other_length) {
                  stage.add({kMeteorParaphrase, start, length, other, other_length});
                });
  match_phrases(hypothesis, reference, *paraphrases,
                [&](int start, int length, int other, int other_length) {
                  stage.add({kMeteorParaphrase, other, other_length, start, length});
                });
  return stage;
}

struct Path {
  Used used, other_used;
  int weight = 0;  // of the words matched on both sides: whole if exact, else half, rounded down
  int chunks = 0, next = 0, last_end = -1, distance = 0;
  int node = -1;  // the last match chosen, in the list of choices
};

struct Choice {
  const Match* match;
  int before;
};

void take(Path& path, const Match& m) {
  const int part = m.matcher == kMeteorExact ? 1 : 2;
  path.weight += m.length / part + m.other_length / part;
  if (path.last_end != -1 && m.other != path.last_end) ++path.chunks;
  path.next = m.start + m.length;
  path.last_end = m.other + m.other_length;
}

bool better(const Path& a, const Path& b) {
  if (a.weight != b.weight) return a.weight > b.weight;
  if (a.chunks != b.chunks) return a.chunks < b.chunks;
  return a.distance < b.distance;
}

// The matches of the best path, by where they start; null where none does.
std::vector<const Match*> resolve(const Stage& stage, size_t hypothesis_size) {
  const auto size = static_cast<int>(stage.matches.size());
  std::vector<const Match*> chosen(stage.matches.size());
  Path start{Used(stage.matches.size()), Used(hypothesis_size)};
  // Matches that nothing contests are settled.
  for (const std::vector<Match>& matches : stage.matches) {
    if (matches.size() != 1) continue;
    const Match& m = matches.front();
    const auto alone = [](const std::vector<int>& covered, int from, int count) {
      return std::all_of(covered.begin() + from, covered.begin() + from + count,
                         [](int c) { return c == 1; });
    };
    if (!alone(stage.covered, m.start, m.length) ||
        !alone(stage.other_covered, m.other, m.other_length))
      continue;
    chosen[static_cast<size_t>(m.start)] = &m;
    start.used.set(m.start, m.length);
    start.other_used.set(m.other, m.other_length);
  }
  std::vector<Choice> choices;
  std::vector<Path> paths, next;
  next.push_back(std::move(start));
  for (int current = 0; current < size; ++current) {
    std::swap(paths, next);
    next.clear();
    std::stable_sort(paths.begin(), paths.end(), better);
    const size_t kept = std::min<size_t>(paths.size(), kBeam);
    for (size_t rank = 0; rank < kept; ++rank) {
      Path& path = paths[rank];
      if (path.used.test(current)) {
        if (current >= path.next) {
          const Match* const settled = chosen[static_cast<size_t>(path.next)];
          if (settled == nullptr) continue;
          take(path, *settled);
          path.distance += std::abs(settled->start - settled->other);
        }
        next.push_back(std::move(path));
        continue;
      }
      for (const Match& m : stage.matches[static_cast<size_t>(current)]) {
        if (path.used.any(m.start, m.length) || path.other_used.any(m.other, m.other_length))
          continue;
        Path& longer = next.emplace_back(path);
        longer.used.set(m.start, m.length);
        longer.other_used.set(m.other, m.other_length);
        take(longer, m);
        longer.node = static_cast<int>(choices.size());
        choices.push_back({&m, path.node});
        path.distance += std::abs(m.start - m.other);  // of this one, as METEOR 1.5 has it
      }
      if (path.last_end != -1) {
        ++path.chunks;
        path.last_end = -1;
      }
      ++path.next;
      next.push_back(std::move(path));
    }
    if (next.empty()) next.push_back(paths.front());
  }
  std::stable_sort(next.begin(), next.end(), better);
  next.resize(std::min<size_t>(next.size(), kBeam), next.front());
  for (Path& path : next) path.chunks += path.last_end != -1;
  std::stable_sort(next.begin(), next.end(), better);
  for (int node = next.front().node; node >= 0; node = choices[static_cast<size_t>(node)].before) {
    const Match* const m = choices[static_cast<size_t>(node)].match;
    chosen[static_cast<size_t>(m->start)] = m;
  }
  return chosen;
}

}  // namespace

MeteorCounts meteor_align(const MeteorWords& hypothesis, const MeteorWords& reference,
                          bool use_synonyms, const Paraphrases* paraphrases) {
  const Stage stage = propose(hypothesis, reference, use_synonyms, paraphrases);
  const std::vector<const Match*> chosen = resolve(stage, hypothesis.size());
  MeteorCounts counts;
  const auto count = [&counts](const Match& m, const MeteorWord& word, size_t side) {
    (word.is_function ? counts.function : counts.content)[m.matcher][side] += 1.0;
  };
  int last_end = -1;
  for (size_t at = 0; at < chosen.size();) {
    const Match* const m = chosen[at];
    if (m == nullptr) {
      counts.chunks += last_end != -1;
      last_end = -1;
      ++at;
      continue;
    }
    counts.chunks += last_end != -1 && m->other != last_end;
    at = static_cast<size_t>(m->start + m->length);
    last_end = m->other + m->other_length;
  }
  counts.chunks += last_end != -1;
  for (const Match* const m : chosen) {
    if (m == nullptr) continue;
    for (int i = 0; i < m->other_length; ++i)
      count(*m, *hypothesis[static_cast<size_t>(m->other + i)], 0);
    for (int i = 0; i < m->length; ++i) count(*m, *reference[static_cast<size_t>(m->start + i)], 1);
  }
  return counts;
}

}  // namespace nibble
