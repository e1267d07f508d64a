// SPDX-License-Identifier: Apache-2.0
#include "model/sentencepiece_write.h"

#include "base/error.h"

namespace nibble {
namespace {

// A field begins with its number and how its value is coded.
enum Wire : uint32_t { kVarint = 0, kBytes = 2, kFixed32 = 5 };

void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}
void put_int(std::string& out, uint32_t field, int64_t value) {
  put_varint(out, field << 3 | kVarint);
  put_varint(out, static_cast<uint64_t>(value));
}
void put_bytes(std::string& out, uint32_t field, std::string_view value) {
  put_varint(out, field << 3 | kBytes);
  put_varint(out, value.size());
  out += value;
}
void put_float(std::string& out, uint32_t field, float value) {
  put_varint(out, field << 3 | kFixed32);
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace

std::string write_sentencepiece(const SentencePieceModel& model) {
  std::string out;
  bool bytes = false;
  for (const Piece& piece : model.pieces) {
    std::string message;
    put_bytes(message, 1, piece.text);
    put_float(message, 2, piece.score);
    if (piece.type != PieceType::kNormal) put_int(message, 3, static_cast<int64_t>(piece.type));
    put_bytes(out, 1, message);
    bytes |= piece.type == PieceType::kByte;
  }
  std::string trainer;
  put_int(trainer, 3, static_cast<int64_t>(SentencePieceFile::Model::kBpe));
  put_int(trainer, 4, static_cast<int64_t>(model.pieces.size()));
  put_int(trainer, 35, bytes);
  const std::optional<int32_t> ids[] = {model.unk, model.bos, model.eos, model.pad};
  for (uint32_t i = 0; i < 4; ++i) {
    put_int(trainer, 40 + i, ids[i].value_or(-1));
    if (!ids[i]) continue;
    CHECK(*ids[i] >= 0 && static_cast<size_t>(*ids[i]) < model.pieces.size());
    put_bytes(trainer, 45 + i, model.pieces[static_cast<size_t>(*ids[i])].text);
  }
  put_bytes(out, 2, trainer);
  std::string normalizer;
  put_bytes(normalizer, 1, "identity");
  put_bytes(normalizer, 2, "");
  put_int(normalizer, 3, model.add_dummy_prefix);
  put_int(normalizer, 4, 0);
  put_int(normalizer, 5, 1);
  put_bytes(out, 3, normalizer);
  return out;
}

}  // namespace nibble
