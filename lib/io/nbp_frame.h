// SPDX-License-Identifier: Apache-2.0
// One frame of a packed shard (nbp.h), unpacked and checked.
#pragma once

#include <zstd.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/nbp.h"

namespace nibble::nbp {

/// What header and summary say of every row.
struct RowLimits {
  int64_t row_length = 0;
  int64_t vocab_size = 0;
  int64_t id_bytes = 2;
  int64_t longest = 0;  // tokens of a sequence
  ExampleKind kind = ExampleKind::kPlain;
};

struct FreeZstd {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};
using Decompressor = std::unique_ptr<ZSTD_DCtx, FreeZstd>;

class Frame {
 public:
  /// Takes the place of what was there. Every value is checked: throws DataError, without a place,
  /// and holds nothing then.
  void unpack(ZSTD_DCtx* zstd, std::span<const std::byte> stored, size_t raw_bytes, int64_t rows,
              const RowLimits& limits);
  /// Row r of an unpacked frame.
  void copy(size_t r, PackedRow& out) const;

 private:
  struct Row {
    uint32_t tokens, sequences;
    size_t ids, starts, mask, rating;  // offsets in raw_
  };
  void locate_rows(size_t rows, const RowLimits& limits);
  void check_row(const Row& row, const RowLimits& limits) const;
  int64_t id(const Row& row, size_t i) const;
  bool trained(const Row& row, size_t i) const;
  uint32_t start(const Row& row, size_t i) const;

  std::string raw_;
  std::vector<Row> rows_;
  bool wide_ = false;   // ids of four bytes
  bool rated_ = false;  // with ratings
};

}  // namespace nibble::nbp
