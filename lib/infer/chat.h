// SPDX-License-Identifier: Apache-2.0
// Streaming: a completion as it grows, and conversations over it.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "infer/generator.h"
#include "infer/prompts.h"

namespace nibble {

/// Completes one prompt, giving whole UTF-8 characters to `put` as they come, never a part of a
/// stop string. Returns the text.
std::string stream_completion(Generator& generator, const std::vector<int32_t>& prompt,
                              const Prompter& prompter, std::span<const std::string> stops,
                              const std::function<void(std::string_view)>& put);

/// A conversation: a line of `in` a turn, answers to standard output as they grow. "/quit" or the
/// end of input ends it, "/new" forgets what was said. The oldest turns are forgotten when the
/// context is full.
void chat(const Model& model, const Prompter& prompter, const GeneratorOptions& options,
          std::span<const std::string> stops);

}  // namespace nibble
