// SPDX-License-Identifier: Apache-2.0
// Writes a SentencePiece BPE model (tokenizer.model) of given pieces: the message ModelProto, field
// by field, as text/sentencepiece_file.h reads it.
//
//   ModelProto      1 pieces* {1 piece, 2 score, 3 type}  2 trainer_spec  3 normalizer_spec
//   TrainerSpec     3 model_type  4 vocab_size  35 byte_fallback  40-43 unk, bos, eos, pad id
//                   45-48 unk, bos, eos, pad piece
//   NormalizerSpec  1 name  2 precompiled_charsmap  3 add_dummy_prefix
//                   4 remove_extra_whitespaces  5 escape_whitespaces
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "text/sentencepiece_file.h"

namespace nibble {

using Piece = SentencePieceFile::Piece;

struct SentencePieceModel {
  std::vector<Piece> pieces;  // exactly one is unknown
  bool add_dummy_prefix = true;
  std::optional<int32_t> unk, bos, eos, pad;  // ids among the pieces
};

/// The file's bytes. No normalisation and white space kept, as LLaMA's vocabularies have it.
std::string write_sentencepiece(const SentencePieceModel& model);

}  // namespace nibble
