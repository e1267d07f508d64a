// SPDX-License-Identifier: Apache-2.0
// Spool: token rows put away in a nameless temporary file, to be read back in another order. Eight
// bytes a row stay in memory, whatever the rows' lengths.
#pragma once

#include <cstdint>
#include <vector>

#include "data/token_rows.h"
#include "io/spool.h"

namespace nibble {

class TokenSpool {
 public:
  void add(const TokenRow& row);
  int64_t size() const { return std::ssize(offsets_); }
  /// Row i, in the order of adding. Throws IoError.
  void read(int64_t i, TokenRow& row);

 private:
  Spool spool_;
  std::vector<uint64_t> offsets_;
};

}  // namespace nibble
