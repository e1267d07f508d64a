// SPDX-License-Identifier: Apache-2.0
#include "data/spool.h"

namespace nibble {

void TokenSpool::add(const TokenRow& row) {
  offsets_.push_back(spool_.end());
  const auto count = static_cast<uint32_t>(row.tokens.size());
  spool_.add(&count, sizeof count);
  spool_.add(row.tokens.data(), 4 * row.tokens.size());
  spool_.add(row.trained.data(), row.trained.size());
}

void TokenSpool::read(int64_t i, TokenRow& row) {
  const uint64_t offset = offsets_[static_cast<size_t>(i)];
  uint32_t count = 0;
  spool_.read(offset, &count, sizeof count);
  row.tokens.resize(count);
  row.trained.resize(count);
  spool_.read(offset + sizeof count, row.tokens.data(), 4 * size_t{count});
  spool_.read(offset + sizeof count + 4 * uint64_t{count}, row.trained.data(), count);
}

}  // namespace nibble
