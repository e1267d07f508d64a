// SPDX-License-Identifier: Apache-2.0
#include "eval/evaluate.h"

#include <algorithm>
#include <map>

#include "base/threads.h"
#include "eval/evaluate_parts.h"
#include "eval/likelihood.h"
#include "eval/task_metrics.h"
#include "text/unicode.h"

namespace nibble {
namespace {

std::string_view right_strip(std::string_view text) {
  const std::string_view inside = python_strip(text);
  if (inside.empty()) return {};
  return text.substr(0, static_cast<size_t>(inside.data() - text.data()) + inside.size());
}

// The ids of a prompt and what may follow it, as lm-eval cuts them: white space at the prompt's end
// goes to what follows, and what follows is what the whole text's ids have after the prompt's.
ScoredIds scored_ids(const Tokenizer& tokenizer, std::string_view prompt, std::string_view next) {
  const std::string whole = cat(prompt, next);
  ScoredIds s;
  s.ids = encode_prompt(tokenizer, right_strip(prompt));
  s.first = std::ssize(s.ids);
  const std::vector<int32_t> all = encode_prompt(tokenizer, whole);
  for (size_t i = s.ids.size(); i < all.size(); ++i) s.ids.push_back(all[i]);
  if (s.first == 0 && !s.ids.empty()) {  // there must be something to go on from
    const auto begin = tokenizer.bos ? tokenizer.bos : tokenizer.eos;
    if (!begin) throw DataError("the prompt has no token");
    s.ids.insert(s.ids.begin(), *begin);
    s.first = 1;
  }
  return s;
}

// Cuts the beginning off where there are more than context + 1, the last being read by none.
// Returns how many went. `most` is the model's context.
int64_t fit(ScoredIds& s, int64_t context, int64_t most) {
  const int64_t over = std::ssize(s.ids) - (context + 1);
  if (over <= 0) return 0;
  if (s.first - over < 1)
    throw DataError(cat("an answer of ", std::ssize(s.ids) - s.first,
                        " tokens is longer than the context, ", context,
                        remedy_for_context(context, most)));
  s.ids.erase(s.ids.begin(), s.ids.begin() + over);
  s.first -= over;
  return over;
}

struct Question {
  const TaskExample* example;
  LikelihoodGroup group;
  int64_t truncated = 0;
};

void read_question(const Session& session, const TaskRun& run, int64_t context, Question& q) {
  const TaskExample& e = *q.example;
  const std::string before = run.text_before(e);
  const bool in_prompts = e.prompts.size() > 1 || e.choices.empty();
  const size_t count = std::max<size_t>(1, e.choices.size());
  for (size_t i = 0; i < count; ++i) try {
      const std::string& prompt = e.prompts[e.prompts.size() > 1 ? i : 0];
      ScoredIds s = scored_ids(*session.tokenizer, before + prompt,
                               run.task.delimiter + (in_prompts ? e.target : e.choices[i]));
      if (std::ssize(s.ids) == s.first) throw DataError("no token follows the prompt");
      q.truncated = std::max(q.truncated, fit(s, context, session.model.config.max_position));
      q.group.sequences.push_back(std::move(s));
    } catch (const DataError& fault) {
      throw DataError(
          cat(e.place, ": ", e.choices.empty() ? "" : cat("choice ", i, ": "), fault.what()));
    }
}

// Questions after the same text are of one kin.
void find_kin(const TaskRun& run, std::vector<Question>& questions) {
  std::map<std::vector<int64_t>, std::vector<Question*>> alike;
  for (Question& q : questions) {
    const auto& shots = run.shots_of(*q.example);
    if (!shots.empty()) alike[shots].push_back(&q);
  }
  int64_t kin = 0;
  for (auto& [shots, all] : alike) {
    if (all.size() < 2) continue;
    ++kin;
    for (Question* q : all) q->group.kin = kin;
  }
}

Json likelihood_record(const TaskRun& run, const Question& q, std::span<const Likelihood> got) {
  const TaskExample& e = *q.example;
  Json record = question_record(run, e, q.truncated);
  std::vector<double> sums;
  Json::Array values, tokens;
  for (const Likelihood& l : got) {
    sums.push_back(l.sum);
    values.emplace_back(l.sum);
    tokens.emplace_back(l.tokens);
  }
  record.set("loglikelihoods", std::move(values));
  record.set("tokens", std::move(tokens));
  if (e.choices.empty()) {
    record.set("scores", Json::object({{"acc", got[0].greedy ? 1 : 0}}));
    return record;
  }
  const ChoiceScores s = score_choices(e.choices, sums, e.answers, e.correct);
  record.set("prediction", s.prediction);
  const auto& names = e.labels.empty() ? e.choices : e.labels;
  record.set("hypothesis", names[static_cast<size_t>(s.prediction)]);
  record.set("scores", Json::object({{"acc", s.acc ? 1 : 0},
                                     {"acc_norm", s.acc_norm ? 1 : 0},
                                     {"acc_bytes", s.acc_bytes ? 1 : 0},
                                     {"mc2", s.mc2}}));
  return record;
}

void evaluate_likelihoods(const Session& session, const TaskRun& run, const EvaluateOptions& o,
                          const std::set<int64_t>& known, const std::function<void(Json)>& record,
                          const EvaluateProgress& progress) {
  std::vector<Question> questions;
  for (const TaskExample& e : run.questions)
    if (!known.contains(e.number)) questions.push_back({.example = &e});
  parallel_for(std::ssize(questions), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      read_question(session, run, o.context, questions[static_cast<size_t>(i)]);
  });
  find_kin(run, questions);
  std::vector<LikelihoodGroup> groups;
  for (Question& q : questions) groups.push_back(std::move(q.group));
  score_groups(
      session.model, groups,
      {.batch_tokens = o.batch_tokens, .compute = o.compute, .device = o.device},
      [&](size_t i, std::span<const Likelihood> got) {
        record(likelihood_record(run, questions[i], got));
      },
      [&](const LikelihoodProgress& p) { progress(p.done, p.all); });
}

}  // namespace

std::vector<int32_t> encode_prompt(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<int32_t> ids = tokenizer.encode(text);
  const bool has_bos = tokenizer.bos && !ids.empty() && ids.front() == *tokenizer.bos;
  if (tokenizer.add_bos && tokenizer.bos && !has_bos) ids.insert(ids.begin(), *tokenizer.bos);
  return ids;
}

std::string remedy_for_context(int64_t context, int64_t most) {
  return context < most ? "; give a longer one by --length"
                        : "; take a model that has a longer one";
}

Json question_record(const TaskRun& run, const TaskExample& e, int64_t truncated) {
  const auto list = [](const auto& values) {
    return Json(Json::Array(values.begin(), values.end()));
  };
  Json record = Json::object({{"task", run.task.name}, {"example", e.number}, {"place", e.place}});
  if (!e.group.empty()) record.set("group", e.group);
  if (!e.tags.as_object().empty()) record.set("tags", e.tags);
  const auto& shots = run.shots_of(e);
  if (!shots.empty()) record.set("few_shot", list(shots));
  if (e.prompts.size() == 1) record.set("prompt", e.prompts.front());
  if (!e.choices.empty()) record.set("choices", list(e.choices));
  if (!e.target.empty()) record.set("target", e.target);
  if (!e.answers.empty()) record.set("answers", list(e.answers));
  Json::Array references(e.references.begin(), e.references.end());
  const auto& names = e.labels.empty() ? e.choices : e.labels;
  for (const int64_t i : e.answers) references.emplace_back(names[static_cast<size_t>(i)]);
  if (!references.empty()) record.set("references", std::move(references));
  if (truncated > 0) record.set("truncated", truncated);
  return record;
}

TaskRun prepare_task(Task task, const std::string& data, const std::string& train, int64_t limit,
                     std::optional<int64_t> few_shot, std::optional<FewShotOrder> order,
                     uint64_t seed, const std::vector<std::string>& tags) {
  TaskRun run;
  run.task = std::move(task);
  run.task.few_shot = few_shot.value_or(run.task.few_shot);
  run.task.few_shot_order = order.value_or(run.task.few_shot_order);
  const ExampleFiles files = find_files(run.task, data, train);
  run.questions = read_examples(run.task, files.test, limit, tags);
  if (run.questions.empty()) throw DataError(cat(files.test.front(), ": no example"));
  for (const std::string& tag : tags)
    if (std::ranges::none_of(run.questions, [&](const TaskExample& e) { return e.tags.find(tag); }))
      throw DataError(cat(files.test.front(), ": no record has the \"", tag, "\" that --by names"));
  if (run.task.few_shot > 0) {
    run.source.questions = files.train.empty();
    run.source.examples =
        read_examples(run.task, files.train.empty() ? files.test : files.train, 0, {});
  }
  run.few_shots = choose_few_shots(
      run.task, run.questions, run.source,
      {.count = run.task.few_shot, .order = run.task.few_shot_order, .seed = seed});
  return run;
}

Json log_head(const std::vector<TaskRun>& runs, uint64_t seed, const EvaluateOptions& options) {
  constexpr std::string_view kOrders[] = {"first", "fixed", "sample"};
  Json::Array tasks;
  for (const TaskRun& run : runs) {
    const Task& t = run.task;
    Json task = Json::object({{"name", t.name}});
    task.set("metrics", Json::Array(t.metrics.begin(), t.metrics.end()));
    task.set("examples", std::ssize(run.questions));
    task.set("few_shot", t.few_shot);
    if (t.few_shot > 0) {
      task.set("few_shot_order", kOrders[static_cast<size_t>(t.few_shot_order)]);
      task.set("seed", seed);
    }
    task.set("file", sha256_hex(t.toml));
    tasks.push_back(std::move(task));
  }
  return Json::object({{"nibble-eval", 1},
                       {"tasks", std::move(tasks)},
                       {"context", options.context},
                       {"compute", options.compute == Dtype::kF32 ? "f32" : "bf16"}});
}

void evaluate(const Session& session, const TaskRun& run, const EvaluateOptions& options,
              const std::set<int64_t>& known, const std::function<void(Json)>& record,
              const EvaluateProgress& progress) {
  if (run.task.kind == TaskKind::kCompletion)
    evaluate_completions(session, run, options, known, record, progress);
  else
    evaluate_likelihoods(session, run, options, known, record, progress);
}

}  // namespace nibble
