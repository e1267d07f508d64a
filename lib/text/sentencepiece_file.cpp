// SPDX-License-Identifier: Apache-2.0
#include "text/sentencepiece_file.h"

#include <bit>
#include <cstring>

#include "base/error.h"

namespace nibble {
namespace {

// Fields of a protocol buffer, one after another.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : bytes_(bytes) {}

  bool next() {
    if (bytes_.empty()) return false;
    const uint64_t key = varint();
    number = key >> 3;
    number_value = 0;
    bytes_value = {};
    switch (key & 7) {
      case 0:
        number_value = varint();
        break;
      case 1:
        bytes_value = take(8);
        break;
      case 2:
        bytes_value = take(varint());
        break;
      case 5:
        bytes_value = take(4);
        break;
      default:
        fail();
    }
    return true;
  }
  float float_value() const {
    if (bytes_value.size() != 4) fail();
    uint32_t bits;
    std::memcpy(&bits, bytes_value.data(), 4);
    return std::bit_cast<float>(bits);
  }

  uint64_t number = 0, number_value = 0;
  std::string_view bytes_value;

 private:
  [[noreturn]] static void fail() {
    throw DataError("not a SentencePiece model, or a damaged one");
  }
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    fail();
  }
  std::string_view take(uint64_t size) {
    if (size > bytes_.size()) fail();
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }
  std::string_view bytes_;
};

SentencePieceFile::Piece parse_piece(std::string_view bytes) {
  SentencePieceFile::Piece piece;
  for (Fields f(bytes); f.next();) {
    if (f.number == 1) piece.text = f.bytes_value;
    if (f.number == 2) piece.score = f.float_value();
    if (f.number == 3) {
      if (f.number_value < 1 || f.number_value > 6)
        throw UnavailableError(cat("SentencePiece type ", f.number_value, " is not supported"));
      piece.type = static_cast<PieceType>(f.number_value);
    }
  }
  return piece;
}

}  // namespace

SentencePieceFile parse_sentencepiece(std::string_view bytes) {
  SentencePieceFile file;
  for (Fields f(bytes); f.next();) {
    if (f.number == 1) file.pieces.push_back(parse_piece(f.bytes_value));
    if (f.number == 2)
      for (Fields t(f.bytes_value); t.next();) {
        if (t.number == 3) {
          if (t.number_value < 1 || t.number_value > 4)
            throw UnavailableError(
                cat("SentencePiece model type ", t.number_value, " is not supported"));
          file.model = static_cast<SentencePieceFile::Model>(t.number_value);
        }
        if (t.number == 24) file.whitespace_suffix = t.number_value != 0;
        if (t.number == 35) file.byte_fallback = t.number_value != 0;
      }
    if (f.number == 3)
      for (Fields n(f.bytes_value); n.next();) {
        if (n.number == 2) file.normalizes = !n.bytes_value.empty();
        if (n.number == 3) file.add_dummy_prefix = n.number_value != 0;
        if (n.number == 4) file.remove_extra_whitespaces = n.number_value != 0;
        if (n.number == 5) file.escape_whitespaces = n.number_value != 0;
      }
  }
  if (file.pieces.empty()) throw DataError("not a SentencePiece model: it has no pieces");
  return file;
}

std::string without_dummy_prefix(std::string_view bytes) {
  // Field 3 (normalizer_spec), two bytes long: field 3 (add_dummy_prefix) is 0.
  return std::string(bytes) + std::string("\x1A\x02\x18\x00", 4);
}

}  // namespace nibble
