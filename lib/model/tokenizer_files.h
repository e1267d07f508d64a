// SPDX-License-Identifier: Apache-2.0
// A tokenizer as the files of a Hugging Face folder: tokenizer.model for SentencePiece, else
// tokenizer.json, and with either tokenizer_config.json, chat template included.
#pragma once

#include "io/file.h"
#include "model/config.h"
#include "model/gguf_vocab.h"

namespace nibble {

/// Writes them into `folder`.
void write_tokenizer_files(const GgufVocab& vocab, const fs::path& folder);

/// Writes tokenizer_config.json alone, beside a tokenizer that is there already.
void write_tokenizer_config(const GgufVocab& vocab, const fs::path& folder);

/// Reads the tokenizer of a model folder, padded with unused tokens to the model's vocabulary.
/// Throws UnavailableError naming what GGUF cannot express.
GgufVocab read_tokenizer_files(const fs::path& folder, const ModelConfig& config);

/// What a SentencePiece .model says: pieces, special ids, rules. Throws DataError naming the file.
GgufVocab sentencepiece_vocab(const fs::path& path);

}  // namespace nibble
