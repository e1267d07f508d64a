// SPDX-License-Identifier: Apache-2.0
#include "model/sentencepiece_proto.h"

#include <bit>
#include <cstring>

#include "base/error.h"

namespace nibble {
namespace {

enum Wire : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

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

// The fields of one message, in order.
class Fields {
 public:
  Fields(std::string_view bytes, const std::string& place) : bytes_(bytes), place_(place) {}

  bool next() {
    if (bytes_.empty()) return false;
    const uint64_t tag = varint();
    number_ = tag >> 3;
    wire_ = static_cast<uint32_t>(tag & 7);
    switch (wire_) {
      case kVarint:
        integer_ = varint();
        break;
      case kFixed32:
        value_ = take(4);
        break;
      case kFixed64:
        value_ = take(8);
        break;
      case kBytes:
        value_ = take(varint());
        break;
      default:
        fail();
    }
    return true;
  }
  uint64_t number() const { return number_; }
  int64_t integer() const {
    if (wire_ != kVarint) fail();
    return static_cast<int64_t>(integer_);
  }
  std::string_view bytes() const {
    if (wire_ != kBytes) fail();
    return value_;
  }
  float real() const {
    if (wire_ != kFixed32) fail();
    float out;
    std::memcpy(&out, value_.data(), sizeof out);
    return out;
  }
  [[noreturn]] void fail() const {
    throw DataError(place_ + ": no SentencePiece model, or a damaged one; fetch the file again");
  }

 private:
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<uint8_t>(take(1)[0]);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    fail();
  }
  std::string_view take(uint64_t count) {
    if (count > bytes_.size()) fail();
    const std::string_view part = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return part;
  }

  std::string_view bytes_;
  const std::string& place_;
  uint64_t number_ = 0, integer_ = 0;
  uint32_t wire_ = 0;
  std::string_view value_;
};

Piece read_piece(std::string_view bytes, const std::string& place) {
  Piece piece;
  Fields f(bytes, place);
  while (f.next()) {
    if (f.number() == 1) piece.text = f.bytes();
    if (f.number() == 2) piece.score = f.real();
    if (f.number() == 3) {
      if (f.integer() < 1 || f.integer() > 6) f.fail();
      piece.type = static_cast<PieceType>(f.integer());
    }
  }
  return piece;
}

void read_trainer(std::string_view bytes, const std::string& place, SentencePieceModel& model) {
  model.unk = 0, model.bos = 1, model.eos = 2, model.pad = -1;  // the message's defaults
  model.model_type = 1;
  Fields f(bytes, place);
  while (f.next()) {
    if (f.number() == 3) model.model_type = static_cast<int32_t>(f.integer());
    if (f.number() == 40) model.unk = static_cast<int32_t>(f.integer());
    if (f.number() == 41) model.bos = static_cast<int32_t>(f.integer());
    if (f.number() == 42) model.eos = static_cast<int32_t>(f.integer());
    if (f.number() == 43) model.pad = static_cast<int32_t>(f.integer());
  }
}

void read_normalizer(std::string_view bytes, const std::string& place, SentencePieceModel& model) {
  model.add_dummy_prefix = model.remove_extra_whitespaces = true;  // the message's defaults
  model.normalizer.clear();
  Fields f(bytes, place);
  while (f.next()) {
    if (f.number() == 1) model.normalizer = f.bytes();
    if (f.number() == 2) model.precompiled_charsmap = f.bytes();
    if (f.number() == 3) model.add_dummy_prefix = f.integer() != 0;
    if (f.number() == 4) model.remove_extra_whitespaces = f.integer() != 0;
    if (f.number() == 5) model.escape_whitespaces = f.integer() != 0;
  }
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
  put_int(trainer, 3, model.model_type);
  put_int(trainer, 4, static_cast<int64_t>(model.pieces.size()));
  put_int(trainer, 35, bytes);
  const int32_t ids[] = {model.unk, model.bos, model.eos, model.pad};
  for (uint32_t i = 0; i < 4; ++i) {
    put_int(trainer, 40 + i, ids[i]);
    if (ids[i] < 0) continue;
    CHECK(static_cast<size_t>(ids[i]) < model.pieces.size());
    put_bytes(trainer, 45 + i, model.pieces[static_cast<size_t>(ids[i])].text);
  }
  put_bytes(out, 2, trainer);
  std::string normalizer;
  put_bytes(normalizer, 1, model.normalizer);
  put_bytes(normalizer, 2, model.precompiled_charsmap);
  put_int(normalizer, 3, model.add_dummy_prefix);
  put_int(normalizer, 4, model.remove_extra_whitespaces);
  put_int(normalizer, 5, model.escape_whitespaces);
  put_bytes(out, 3, normalizer);
  return out;
}

SentencePieceModel read_sentencepiece(std::string_view bytes, const std::string& place) {
  SentencePieceModel model;
  Fields f(bytes, place);
  while (f.next()) {
    if (f.number() == 1) model.pieces.push_back(read_piece(f.bytes(), place));
    if (f.number() == 2) read_trainer(f.bytes(), place, model);
    if (f.number() == 3) read_normalizer(f.bytes(), place, model);
  }
  const auto size = static_cast<int64_t>(model.pieces.size());
  if (size == 0 || model.unk >= size || model.bos >= size || model.eos >= size || model.pad >= size)
    f.fail();
  return model;
}

}  // namespace nibble
