// SPDX-License-Identifier: Apache-2.0
// What evaluation by log-likelihood and by completion share.
#pragma once

#include "eval/evaluate.h"

namespace nibble {

/// Ids of a prompt, with bos where the model's own rule puts it.
std::vector<int32_t> encode_prompt(const Tokenizer& tokenizer, std::string_view text);

/// What mends a context that is too short, which may be as long as `most`.
std::string remedy_for_context(int64_t context, int64_t most);

/// What the records of all kinds of tasks have.
Json question_record(const TaskRun& run, const TaskExample& question, int64_t truncated);

void evaluate_completions(const Session& session, const TaskRun& run,
                          const EvaluateOptions& options, const std::set<int64_t>& known,
                          const std::function<void(Json)>& record,
                          const EvaluateProgress& progress);

}  // namespace nibble
