// SPDX-License-Identifier: Apache-2.0
#include "eval/few_shot.h"

#include <algorithm>
#include <map>

#include "base/rng.h"

namespace nibble {
namespace {

// `count` of the pool in the order in which they are drawn, without `left_out`.
std::vector<int64_t> draw(std::vector<int64_t> pool, int64_t count, int64_t left_out, Rng* rng) {
  std::vector<int64_t> out;
  for (size_t i = 0; i < pool.size() && std::ssize(out) < count; ++i) {
    if (rng) std::swap(pool[i], pool[i + rng->below(pool.size() - i)]);
    if (pool[i] != left_out) out.push_back(pool[i]);
  }
  return out;
}

}  // namespace

std::vector<std::vector<int64_t>> choose_few_shots(const Task& task,
                                                   const std::vector<TaskExample>& questions,
                                                   const FewShotSource& source,
                                                   const FewShotOptions& o) {
  std::vector<std::vector<int64_t>> out(questions.size());
  if (o.count == 0) return out;
  std::map<std::string, std::vector<int64_t>> pools;
  for (const TaskExample& e : source.examples) pools[e.group].push_back(e.number);
  std::map<std::string, uint64_t> groups;  // numbered as they come
  for (size_t i = 0; i < questions.size(); ++i) {
    const TaskExample& q = questions[i];
    const uint64_t group = groups.emplace(q.group, groups.size()).first->second;
    const auto& pool = pools[q.group];
    const auto drawn = o.order == FewShotOrder::kFixed ? group : static_cast<uint64_t>(q.number);
    Rng rng(o.seed, static_cast<uint64_t>(RngStream::kFewShot) | drawn << 8);
    out[i] = draw(pool, o.count, source.questions ? q.number : -1,
                  o.order == FewShotOrder::kFirst ? nullptr : &rng);
    if (std::ssize(out[i]) < o.count)
      throw DataError(cat(q.place, ": ", o.count, " examples of ", task.name,
                          q.group.empty() ? "" : cat(" (", q.group, ")"),
                          " are to stand before it, but there are ", std::ssize(out[i]),
                          "; give more with --few-shot-data=FILE, or ask for fewer"));
  }
  return out;
}

std::string few_shot_text(const Task& task, const TaskExample& question,
                          const FewShotSource& source, const std::vector<int64_t>& numbers) {
  std::string out = question.description;
  for (const int64_t number : numbers)
    out += source.examples[static_cast<size_t>(number)].shown(task);
  return out;
}

}  // namespace nibble
