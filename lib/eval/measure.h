// SPDX-License-Identifier: Apache-2.0
// Perplexity reports: of a text, of conversations (the tokens that training would learn), of a
// packed shard. By token, and of what has a text by word, byte and bit of a byte too.
#pragma once

#include <string>

#include "eval/perplexity.h"
#include "infer/session.h"

namespace nibble {

/// Of a file, or of standard input for "-"; compressed or not. Log-probabilities of all scored
/// tokens are written to `log`, a JSONL file, unless it is empty.
Json measure_text(const Session& session, const std::string& path, const std::string& log,
                  const PerplexityOptions& options);

struct ConversationOptions {
  std::string data;           // records of any form (data/conversation.h)
  std::string model;          // the model's folder: whose template and special tokens
  std::string template_name;  // as nibble-format takes it
  std::string train_on = "flags";
};
Json measure_conversations(const Session& session, const ConversationOptions& what,
                           const std::string& log, const PerplexityOptions& options);

Json measure_shard(const Session& session, const std::string& path,
                   const PerplexityOptions& options);

}  // namespace nibble
