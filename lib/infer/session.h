// SPDX-License-Identifier: Apache-2.0
// A model ready to complete: weights, adapter, tokenizer and prompts together.
#pragma once

#include <memory>

#include "infer/prompts.h"
#include "model/weights.h"

namespace nibble {

struct Session {
  Model model;
  Arena parameters;  // the adapter's
  std::unique_ptr<Tokenizer> tokenizer;
};

/// Loads a model folder and, unless empty, an adapter onto it.
std::unique_ptr<Session> load_session(const std::string& model, const std::string& adapter,
                                      Dtype compute);

/// Whether the text contains one of the stop strings; cuts it there.
bool cut_at_stop(std::string& text, std::span<const std::string> stops);

/// "\n", "\t" and "\\" as typed on a command line.
std::string unescape(std::string_view text);

}  // namespace nibble
