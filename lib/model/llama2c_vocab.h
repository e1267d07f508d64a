// SPDX-License-Identifier: Apache-2.0
// llama2.c's vocabularies (tokenizer.bin, tok512.bin), little-endian: i32 length of the longest
// piece; then each piece: f32 score, i32 length, bytes, in which spaces stand for SentencePiece's
// U+2581. Ids 0 to 2 are unknown, begin and end of text, 3 to 258 the bytes.
#pragma once

#include "io/file.h"
#include "model/gguf_vocab.h"

namespace nibble {

/// Looks beside the checkpoint: tokN.model, tokN.bin (N pieces), tokenizer.model, tokenizer.bin.
/// Throws NoInputError where there is none.
fs::path find_llama2c_vocabulary(const fs::path& checkpoint, int64_t pieces);

/// Reads it, or a SentencePiece .model; it must have that many pieces.
GgufVocab read_llama2c_vocabulary(const fs::path& path, int64_t pieces);

}  // namespace nibble
