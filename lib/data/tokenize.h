// SPDX-License-Identifier: Apache-2.0
// Examples to token rows and back.
//
// Each segment is encoded by itself, going on from the one before: a token never holds text of two
// segments, so the mask is exact, and the tokens of a prompt are those that generation will see,
// which encodes the prompt without its answer. Where segments meet at a special token, as chat
// templates have it, the row is that of the whole text.
#pragma once

#include "data/example.h"
#include "data/token_rows.h"
#include "text/tokenizer.h"

namespace nibble {

struct TokenizeRules {
  bool bos = false;  // rows begin with bos, unless their text does
  bool eos = false;  // rows end with eos, unless their text does; trained on as what is before it
  SpecialText special = SpecialText::kParse;
};

/// The row of an example; empty where it has no text. bos is never trained on.
void tokenize_example(const Tokenizer& tokenizer, const TokenizeRules& rules,
                      const SegmentedExample& example, TokenRow& row);

/// The text of a row, cut where training on it begins and ends. A bos that `rules` would add again
/// is left out.
void detokenize(const Tokenizer& tokenizer, const TokenizeRules& rules, const TokenRow& row,
                SegmentedExample& example);

}  // namespace nibble
