// SPDX-License-Identifier: Apache-2.0
// What nibble needs to know of a SentencePiece .model besides what the library tells: the message
// ModelProto of sentencepiece_model.proto, read field by field.
//
//   ModelProto      1 pieces* {1 piece, 2 score, 3 type}  2 trainer_spec  3 normalizer_spec
//   TrainerSpec     3 model_type  24 treat_whitespace_as_suffix  35 byte_fallback
//   NormalizerSpec  2 precompiled_charsmap  3 add_dummy_prefix  4 remove_extra_whitespaces
//                   5 escape_whitespaces
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nibble {

enum class PieceType : uint8_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

struct SentencePieceFile {
  struct Piece {
    std::string text;
    float score = 0;
    PieceType type = PieceType::kNormal;
  };
  enum class Model : uint8_t { kUnigram = 1, kBpe = 2, kWord = 3, kCharacter = 4 };

  std::vector<Piece> pieces;
  Model model = Model::kUnigram;
  bool byte_fallback = false;
  bool whitespace_suffix = false;
  bool normalizes = false;  // has a table of characters to replace
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
};

/// Throws DataError (without a place) where the bytes are no such message.
SentencePieceFile parse_sentencepiece(std::string_view bytes);

/// The message with add_dummy_prefix off: a later field of a message overrides an earlier one.
std::string without_dummy_prefix(std::string_view bytes);

}  // namespace nibble
