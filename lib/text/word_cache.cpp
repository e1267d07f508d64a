// SPDX-License-Identifier: Apache-2.0
#include "text/word_cache.h"

#include <array>
#include <atomic>

namespace nibble {

WordCache& WordCache::of(uint64_t owner) {
  struct Kept {
    uint64_t owner = 0;
    std::unique_ptr<WordCache> cache;
  };
  thread_local std::array<Kept, 4> kept;
  thread_local size_t oldest = 0;
  for (Kept& k : kept)
    if (k.owner == owner) return *k.cache;
  Kept& place = kept[oldest++ % kept.size()];
  place = {owner, std::make_unique<WordCache>()};
  return *place.cache;
}

uint64_t WordCache::new_owner() {
  static std::atomic<uint64_t> last{0};
  return ++last;
}

}  // namespace nibble
