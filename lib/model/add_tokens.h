// SPDX-License-Identifier: Apache-2.0
// Tokens added to a model: embedding and head grow and are trained in full, as with transformers'
// resize_token_embeddings and PEFT's modules_to_save. New rows start near the mean of the old ones
// (draw_new_rows), which disturbs the model's predictions least; PEFT's users get the same from
// mean_resizing, its default.
//
//   ExtendedTokenizer tokenizer(folder, read_token_list(file));
//   add_tokens(model, config, tokenizer.tokenizer());    before attach_lora or attach_full
//   ...  lay out, init_trained (draws the rows), train
//   save_adapter(out, model, config);  tokenizer.write(out);
#pragma once

#include "model/lora.h"
#include "text/tokenizer.h"

namespace nibble {

/// Gives the model a row for every id of the tokenizer (none is taken away), and has `config` train
/// embedding and head in full: one tensor where they are tied.
void add_tokens(Model& model, LoraConfig& config, const Tokenizer& tokenizer);

}  // namespace nibble
