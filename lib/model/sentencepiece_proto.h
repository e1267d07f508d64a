// SPDX-License-Identifier: Apache-2.0
// SentencePiece's model file (tokenizer.model), as much of it as converting needs: the protobuf
// message ModelProto of sentencepiece_model.proto, written and read by hand.
//
//   ModelProto      1 pieces {1 piece, 2 score f32, 3 type}, 2 trainer_spec, 3 normalizer_spec
//   trainer_spec    3 model_type, 4 vocab_size, 35 byte_fallback, 40-43 unk/bos/eos/pad id,
//                   45-48 unk/bos/eos/pad piece
//   normalizer_spec 1 name, 2 precompiled_charsmap, 3 add_dummy_prefix,
//                   4 remove_extra_whitespaces, 5 escape_whitespaces
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nibble {

/// The codes of both SentencePiece and tokenizer.ggml.token_type.
enum class PieceType : int32_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

struct Piece {
  std::string text;
  float score = 0.0f;
  PieceType type = PieceType::kNormal;
};

struct SentencePieceModel {
  std::vector<Piece> pieces;
  int32_t model_type = 2;  // 1 unigram, 2 BPE, 3 word, 4 char
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = false;
  bool escape_whitespaces = true;
  std::string precompiled_charsmap;  // Unicode normalisation, compiled; kept as it is
  std::string normalizer = "identity";
  int32_t unk = -1, bos = -1, eos = -1, pad = -1;
};

/// The file's bytes.
std::string write_sentencepiece(const SentencePieceModel& model);

/// Reads them; `place` starts the message of DataError. Fields not listed above are passed over.
SentencePieceModel read_sentencepiece(std::string_view bytes, const std::string& place);

}  // namespace nibble
