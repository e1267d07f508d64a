// SPDX-License-Identifier: Apache-2.0
#include "model/llama2c_vocab.h"

#include <cstring>

#include "base/checked.h"
#include "base/error.h"
#include "base/quote.h"
#include "model/tokenizer_files.h"
#include "text/unicode.h"

namespace nibble {
namespace {

constexpr std::string_view kSpace = "\xe2\x96\x81";  // U+2581

std::vector<Piece> read_pieces(const MappedFile& file, int64_t count) {
  const auto bytes = file.bytes();
  const auto damaged = [&](const std::string& fault) {
    return DataError(cat(file.path().string(), ": ", fault, "; is it the vocabulary of ", count,
                         " pieces that this model was trained with?"));
  };
  std::vector<Piece> pieces;
  size_t at = 4;
  for (int64_t id = 0; id < count; ++id) {
    if (!in_range(at, 8, bytes.size())) throw damaged(cat("ends before piece ", id));
    Piece piece;
    int32_t length = 0;
    std::memcpy(&piece.score, bytes.data() + at, 4);
    std::memcpy(&length, bytes.data() + at + 4, 4);
    at += 8;
    if (length < 0 || !in_range(at, static_cast<uint64_t>(length), bytes.size()))
      throw damaged(cat("piece ", id, " has a length of ", length));
    const std::string_view text = file.text().substr(at, static_cast<size_t>(length));
    at += static_cast<size_t>(length);
    if (!is_utf8(text)) throw damaged(cat("piece ", id, " (", quote(text), ") is not UTF-8"));
    for (const char c : text) {
      if (c == ' ')
        piece.text += kSpace;
      else
        piece.text += c;
    }
    if (id == 0) piece = {"<unk>", 0.0f, PieceType::kUnknown};
    if (id == 1) piece = {"<s>", 0.0f, PieceType::kControl};
    if (id == 2) piece = {"</s>", 0.0f, PieceType::kControl};
    if (id >= 3 && id < 259 && text.starts_with("<0x")) piece.type = PieceType::kByte;
    pieces.push_back(std::move(piece));
  }
  if (at != bytes.size()) throw damaged(cat(bytes.size() - at, " bytes follow the last piece"));
  return pieces;
}

}  // namespace

fs::path find_llama2c_vocabulary(const fs::path& checkpoint, int64_t pieces) {
  for (const std::string& name : {cat("tok", pieces, ".model"), cat("tok", pieces, ".bin"),
                                  std::string("tokenizer.model"), std::string("tokenizer.bin")})
    if (const fs::path path = checkpoint.parent_path() / name; input_exists(path)) return path;
  throw NoInputError(cat(checkpoint.string(), ": no vocabulary (tok", pieces,
                         ".bin, tokenizer.bin) beside it; name one with --tokenizer=FILE"));
}

GgufVocab read_llama2c_vocabulary(const fs::path& path, int64_t pieces) {
  if (path.extension() == ".model") {
    GgufVocab vocab = sentencepiece_vocab(path);
    if (static_cast<int64_t>(vocab.tokens.size()) != pieces)
      throw DataError(cat(path.string(), ": has ", vocab.tokens.size(), " pieces, the model ",
                          pieces, "; name the right one with --tokenizer=FILE"));
    return vocab;
  }
  const MappedFile file(path);
  GgufVocab vocab{.model = "llama", .bos = 1, .eos = 2, .unk = 0, .stops = {2}, .add_bos = true};
  vocab.tokens = read_pieces(file, pieces);
  return vocab;
}

}  // namespace nibble
