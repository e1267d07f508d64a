// SPDX-License-Identifier: Apache-2.0
// An answer as one JSON document and as text for people.
#pragma once

#include "fit/answer.h"
#include "io/json.h"

namespace nibble {

/// plan, fits, ways, predicted, rules, cache, assumptions: bytes, seconds and numbers.
Json answer_json(const Question& question, const Target& target, const Answer& answer,
                 const Extras& extras);

/// The document as text.
std::string render_answer(const Json& document);

Json gpus_json(const std::vector<Gpu>& gpus);
/// A table of the catalogue.
std::string render_gpus(const std::vector<Gpu>& gpus);

}  // namespace nibble
