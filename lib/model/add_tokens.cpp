// SPDX-License-Identifier: Apache-2.0
#include "model/add_tokens.h"

#include <algorithm>

namespace nibble {

void add_tokens(Model& model, LoraConfig& config, const Tokenizer& tokenizer) {
  CHECK(model.parameters.empty());
  model.config.vocab_size = std::max<int64_t>(model.config.vocab_size, tokenizer.vocab_size());
  model.head.out_features = model.config.vocab_size;
  const auto train = [&](const std::string& module) {
    auto& saved = config.modules_to_save;
    const bool named = std::any_of(saved.begin(), saved.end(), [&](const std::string& suffix) {
      return !suffix.empty() && module.ends_with(suffix);
    });
    if (!named) saved.push_back(module.substr(module.rfind('.') + 1));
  };
  train(model.embedding.name);
  if (model.config.tied_embeddings)
    config.ensure_weight_tying = true;
  else
    train(model.head.name);
}

}  // namespace nibble
