// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/threads.h"
#include "eval/evaluate_parts.h"
#include "infer/generator.h"
#include "text/unicode.h"

namespace nibble {
namespace {

struct Question {
  const TaskExample* example;
  std::vector<int32_t> ids;
  int64_t truncated = 0;
};

}  // namespace

void evaluate_completions(const Session& session, const TaskRun& run, const EvaluateOptions& o,
                          const std::set<int64_t>& known, const std::function<void(Json)>& record,
                          const EvaluateProgress& progress) {
  std::vector<Question> questions;
  for (const TaskExample& e : run.questions)
    if (!known.contains(e.number)) questions.push_back({.example = &e});
  const int64_t room = o.context - run.task.max_tokens;
  if (room < 1)
    throw DataError(cat(run.task.place, ": completions of ", run.task.max_tokens,
                        " tokens leave no room for a prompt in the context, ", o.context,
                        remedy_for_context(o.context, session.model.config.max_position)));
  parallel_for(std::ssize(questions), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      Question& q = questions[static_cast<size_t>(i)];
      const TaskExample& e = *q.example;
      q.ids = encode_prompt(*session.tokenizer, run.text_before(e) + e.prompts.front());
      if (q.ids.empty()) throw DataError(cat(e.place, ": the prompt has no token"));
      q.truncated = std::max<int64_t>(0, std::ssize(q.ids) - room);
      q.ids.erase(q.ids.begin(), q.ids.begin() + q.truncated);
    }
  });
  std::ranges::stable_sort(questions, std::ranges::greater(),
                           [](const Question& q) { return q.ids.size(); });
  if (questions.empty()) return;

  const Prompter prompter(*session.tokenizer, session.model.config, "", true, "task");
  Generator generator(session.model,
                      {.batch_size = o.batch_size,
                       .context = std::ssize(questions.front().ids) + run.task.max_tokens,
                       .max_tokens = run.task.max_tokens,
                       .stop_ids = prompter.stop_ids(),
                       .compute = o.compute,
                       .device = o.device});
  std::vector<std::vector<int32_t>> prompts;
  for (Question& q : questions) prompts.push_back(std::move(q.ids));
  int64_t done = 0;
  progress(0, std::ssize(questions));
  generator.run(
      prompts, 0,
      [&](size_t, std::span<const int32_t> tokens) {
        std::string text = prompter.text(tokens);
        return cut_at_stop(text, run.task.stop);
      },
      [&](size_t index, Completion completion) {
        const Question& q = questions[index];
        std::string text = prompter.text(completion.tokens);
        cut_at_stop(text, run.task.stop);
        text = lossy_utf8(text);
        Json out = question_record(run, *q.example, q.truncated);
        out.set("completion", text);
        out.set("hypothesis", std::string(python_strip(text)));
        out.set("tokens", Json::array({std::ssize(completion.tokens)}));
        out.set("scores", Json::object());
        record(std::move(out));
        progress(++done, std::ssize(questions));
      });
}

}  // namespace nibble
