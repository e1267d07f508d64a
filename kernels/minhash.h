// SPDX-License-Identifier: Apache-2.0
// MinHash (Broder, "On the resemblance and containment of documents", 1997): of a set, the smallest
// value under each of K hash functions. Two sets agree in one with a probability of their Jaccard
// similarity.
//   minima[k] = min_i mix(items[i] ^ seeds[k]),  mix(x): x *= 0x85ebca6b, x ^= x >> 13,
//               x *= 0xc2b2ae35, x ^= x >> 16, on 32 bits: a permutation, as in MurmurHash3
#pragma once

#include <cstdint>
#include <span>

namespace nibble {

struct MinHash {
  std::span<uint32_t> minima;       // (K) written; all ones where there are no items
  std::span<const uint32_t> seeds;  // (K)
  std::span<const uint32_t> items;  // any number: hashes of a set's members
};

/// By the calling thread alone.
void minhash(const MinHash& op);

}  // namespace nibble
