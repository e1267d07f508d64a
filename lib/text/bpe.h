// SPDX-License-Identifier: Apache-2.0
// Byte-pair encoding (Sennrich et al., "Neural Machine Translation of Rare Words with Subword
// Units", 2016), as Hugging Face's tokenizers do it: a word becomes symbols (bytes, or characters
// with a fallback to byte tokens), then the pair that comes first in the list of merges, leftmost
// first, is joined until none is left.
//
// Words seen lately are remembered, in a table of fixed size for each thread.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/string_table.h"

namespace nibble {

class WordCache;

class Bpe {
 public:
  enum class Symbols : uint8_t { kBytes, kCharacters };

  // Set by whoever loads it, before finish().
  Symbols symbols = Symbols::kBytes;
  StringTable words;  // bytes (kBytes) or text (kCharacters) of every token of the model
  MergeTable merges;
  std::array<int32_t, 256> byte_ids;  // kBytes: each byte's token; kCharacters: <0xNN>; -1: none
  bool byte_fallback = false;         // kCharacters: unknown characters become byte tokens
  bool ignore_merges = false;         // a word that is a token is that token, merges or not
  bool fuse_unk = false;              // neighbouring unknown characters become one token
  int32_t unk = -1;                   // -1: unknown characters vanish
  /// kCharacters: text may be cut before each "▁" that does not follow one, since no merge
  /// reaches over such a place.
  bool cuts_at_spaces = false;

  Bpe();

  /// Appends the ids of one piece of text (valid UTF-8 for kCharacters).
  void encode(std::string_view piece, WordCache& cache, std::vector<int32_t>& ids) const;

  /// This thread's cache for this model.
  WordCache& cache() const;

 private:
  void encode_word(std::string_view word, WordCache& cache, std::vector<int32_t>& ids) const;
  void encode_new(std::string_view word, std::vector<int32_t>& ids) const;
  void initial_symbols(std::string_view word, std::vector<int32_t>& symbols_out) const;
  uint64_t owner_;  // names this model to the caches
};

}  // namespace nibble
