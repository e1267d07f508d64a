// SPDX-License-Identifier: Apache-2.0
#include "io/nbp_frame.h"

#include "base/error.h"
#include "io/nbp_layout.h"

namespace nibble::nbp {

void Frame::unpack(ZSTD_DCtx* zstd, std::span<const std::byte> stored, size_t raw_bytes,
                   int64_t rows, const RowLimits& limits) {
  rows_.clear();
  wide_ = limits.id_bytes == 4;
  rated_ = limits.kind == ExampleKind::kRated;
  if (ZSTD_getFrameContentSize(stored.data(), stored.size()) != raw_bytes)
    throw DataError("its size is not the index's");
  raw_.resize(raw_bytes);
  const size_t bytes =
      ZSTD_decompressDCtx(zstd, raw_.data(), raw_.size(), stored.data(), stored.size());
  if (ZSTD_isError(bytes)) throw DataError(ZSTD_getErrorName(bytes));
  if (bytes != raw_bytes) throw DataError("its size is not the index's");
  try {
    locate_rows(static_cast<size_t>(rows), limits);
    for (const Row& row : rows_) check_row(row, limits);
  } catch (const DataError&) {
    rows_.clear();
    throw;
  }
}

void Frame::locate_rows(size_t rows, const RowLimits& limits) {
  if (raw_.size() < 8 * rows) throw DataError("its rows do not add up");
  rows_.resize(rows);
  size_t tokens = 0, sequences = 0, masks = 0, ratings = 0;
  for (size_t r = 0; r < rows; ++r) {
    Row& row = rows_[r];
    row.tokens = load<uint32_t>(&raw_[8 * r]);
    row.sequences = load<uint32_t>(&raw_[8 * r + 4]);
    if (row.tokens < 1 || row.tokens > limits.row_length)
      throw DataError("a row has an impossible length");
    if (row.sequences < 1 || row.sequences > row.tokens)
      throw DataError("a row has impossible sequences");
    if (limits.kind == ExampleKind::kPair && row.sequences % 2 != 0)
      throw DataError("a row has half a preference pair");
    row.ids = tokens;
    row.starts = sequences;
    row.mask = masks;
    row.rating = ratings;
    tokens += row.tokens;
    sequences += row.sequences;
    masks += static_cast<size_t>(mask_bytes(row.tokens));
    if (rated_) ratings += static_cast<size_t>(mask_bytes(row.sequences));
  }
  const auto id_bytes = static_cast<size_t>(limits.id_bytes);
  const size_t ids_at = 8 * rows, starts_at = ids_at + tokens * id_bytes,
               masks_at = starts_at + 4 * sequences, ratings_at = masks_at + masks;
  if (raw_.size() != ratings_at + ratings) throw DataError("its rows do not add up");
  for (Row& row : rows_) {
    row.ids = ids_at + row.ids * id_bytes;
    row.starts = starts_at + row.starts * 4;
    row.mask = masks_at + row.mask;
    row.rating = ratings_at + row.rating;
  }
}

void Frame::check_row(const Row& row, const RowLimits& limits) const {
  for (size_t i = 0; i < row.tokens; ++i)
    if (id(row, i) >= limits.vocab_size) throw DataError("a token is not in the vocabulary");
  uint32_t last = 0;
  for (size_t i = 0; i < row.sequences; ++i) {
    const uint32_t at = start(row, i);
    if (i == 0 ? at != 0 : at <= last || at >= row.tokens)
      throw DataError("a sequence starts at an impossible place");
    const uint32_t end = i + 1 < row.sequences ? start(row, i + 1) : row.tokens;
    if (end > at && end - at > limits.longest)
      throw DataError("a sequence is longer than the longest");
    if (trained(row, at)) throw DataError("the first token of a sequence is marked as trained");
    last = at;
  }
  for (size_t i = row.tokens; i % 8 != 0; ++i)
    if (trained(row, i)) throw DataError("a mask is longer than its row");
  for (size_t i = row.sequences; rated_ && i % 8 != 0; ++i)
    if (bit(&raw_[row.rating], i)) throw DataError("a row has more ratings than sequences");
}

int64_t Frame::id(const Row& row, size_t i) const {
  return wide_ ? int64_t{load<uint32_t>(&raw_[row.ids + 4 * i])}
               : int64_t{load<uint16_t>(&raw_[row.ids + 2 * i])};
}

bool Frame::trained(const Row& row, size_t i) const {
  return bit(&raw_[row.mask], i);
}

uint32_t Frame::start(const Row& row, size_t i) const {
  return load<uint32_t>(&raw_[row.starts + 4 * i]);
}

void Frame::copy(size_t r, PackedRow& out) const {
  const Row& row = rows_[r];
  out.tokens.resize(row.tokens);
  out.trained.resize(row.tokens);
  out.starts.resize(row.sequences);
  for (size_t i = 0; i < row.tokens; ++i) {
    out.tokens[i] = static_cast<int32_t>(id(row, i));
    out.trained[i] = trained(row, i);
  }
  for (size_t i = 0; i < row.sequences; ++i) out.starts[i] = static_cast<int32_t>(start(row, i));
  out.desirable.resize(rated_ ? row.sequences : 0);
  for (size_t i = 0; i < out.desirable.size(); ++i) out.desirable[i] = bit(&raw_[row.rating], i);
}

}  // namespace nibble::nbp
