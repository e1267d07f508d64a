// SPDX-License-Identifier: Apache-2.0
// The tokenizer in a GGUF file's metadata, and the same tokenizer as files of a Hugging Face
// folder:
//   "llama" (SentencePiece BPE): tokenizer.model + tokenizer_config.json
//   "gpt2" (byte-level BPE): tokenizer.json + tokenizer_config.json, its pre-tokenizer by the name
//   in tokenizer.ggml.pre
// Other kinds, and names of pre-tokenizers that are not in the table, are refused by name.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "io/gguf.h"
#include "model/sentencepiece_write.h"

namespace nibble {

struct GgufVocab {
  std::string model;                // "llama" or "gpt2"
  std::string pre;                  // of "gpt2"
  std::vector<Piece> tokens;        // scores are of "llama" only
  std::vector<std::string> merges;  // of "gpt2": "left right"
  std::optional<int32_t> bos, eos, unk, pad;
  std::vector<int32_t> stops;  // every token that ends a turn: eos, end of turn, end of message
  bool add_bos = false, add_eos = false;
  bool add_space_prefix = true;  // of "llama"
  std::string chat_template;
  int64_t context_length = 0;
};

/// Adds the tokenizer.* keys to a file's metadata.
void write_gguf_vocab(const GgufVocab& vocab, GgufMetadata& metadata);

/// Reads and checks it: at most `model_vocab` tokens, valid UTF-8, none twice, ids in range.
GgufVocab read_gguf_vocab(const GgufFile& file, int64_t model_vocab);

}  // namespace nibble
