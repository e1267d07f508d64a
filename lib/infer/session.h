// SPDX-License-Identifier: Apache-2.0
// A model ready to complete: weights, adapter, tokenizer and prompts together.
#pragma once

#include <memory>

#include "infer/prompts.h"
#include "model/weights.h"
#include "quant/quantize.h"

namespace nibble {

struct Session {
  Model model;
  Arena parameters;      // the adapter's
  QuantizedTensor head;  // where quantize_head() made one
  std::unique_ptr<Tokenizer> tokenizer;
};

/// Loads a model folder and, unless empty, an adapter onto it.
std::unique_ptr<Session> load_session(const std::string& model, const std::string& adapter,
                                      Dtype compute);

/// The head in fewer bits than it is stored in, since every token reads all of it: "int8" (a scale
/// a row) or "nf4" (blocks of 64, scales quantised); "keep" leaves it. An embedding tied to it
/// stays. Throws UsageError where the head is quantised already or an adapter trains it.
void quantize_head(Session& session, std::string_view type);

/// Whether the text contains one of the stop strings; cuts it there.
bool cut_at_stop(std::string& text, std::span<const std::string> stops);

/// "\n", "\t" and "\\" as typed on a command line.
std::string unescape(std::string_view text);

}  // namespace nibble
