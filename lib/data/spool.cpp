// SPDX-License-Identifier: Apache-2.0
#include "data/spool.h"

namespace nibble {
namespace {

// What stands before a row's ids and mask.
struct Head {
  uint32_t count = 0;
  int32_t rejected = 0;
  ExampleKind kind = ExampleKind::kPlain;
  bool desirable = false;
};

}  // namespace

void TokenSpool::add(const TokenRow& row) {
  offsets_.push_back(spool_.end());
  const Head head = {.count = static_cast<uint32_t>(row.tokens.size()),
                     .rejected = row.rejected,
                     .kind = row.kind,
                     .desirable = row.desirable};
  spool_.add(&head, sizeof head);
  spool_.add(row.tokens.data(), 4 * row.tokens.size());
  spool_.add(row.trained.data(), row.trained.size());
}

void TokenSpool::read(int64_t i, TokenRow& row) {
  const uint64_t offset = offsets_[static_cast<size_t>(i)];
  Head head;
  spool_.read(offset, &head, sizeof head);
  const size_t count = head.count;
  row.tokens.resize(count);
  row.trained.resize(count);
  row.rejected = head.rejected;
  row.kind = head.kind;
  row.desirable = head.desirable;
  spool_.read(offset + sizeof head, row.tokens.data(), 4 * count);
  spool_.read(offset + sizeof head + 4 * count, row.trained.data(), count);
}

}  // namespace nibble
