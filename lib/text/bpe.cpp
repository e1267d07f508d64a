// SPDX-License-Identifier: Apache-2.0
#include "text/bpe.h"

#include <algorithm>

#include "base/error.h"
#include "text/space_mark.h"
#include "text/unicode.h"
#include "text/word_cache.h"

namespace nibble {
namespace {

// Up to here the merge to make next is found by looking at all of them.
constexpr size_t kShortWord = 48;

// Joins pairs in place; for short words, where a heap costs more than it saves.
void merge_short(const MergeTable& merges, std::vector<int32_t>& symbols) {
  Merge next[kShortWord];
  size_t n = symbols.size();
  for (size_t i = 0; i + 1 < n; ++i) next[i] = merges.find(symbols[i], symbols[i + 1]);
  while (n > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < n; ++i)
      if (next[i].rank < next[best].rank) best = i;
    if (next[best].rank == UINT32_MAX) break;
    symbols[best] = next[best].id;
    --n;
    for (size_t i = best + 1; i < n; ++i) symbols[i] = symbols[i + 1];
    for (size_t i = best + 1; i + 1 < n; ++i) next[i] = next[i + 1];
    if (best > 0) next[best - 1] = merges.find(symbols[best - 1], symbols[best]);
    if (best + 1 < n) next[best] = merges.find(symbols[best], symbols[best + 1]);
  }
  symbols.resize(n);
}

// The same by a heap over a linked list: n log n whatever the text.
class LongWord {
 public:
  void merge(const MergeTable& merges, std::vector<int32_t>& symbols) {
    nodes_.clear();
    heap_.clear();
    const auto n = static_cast<int32_t>(symbols.size());
    for (int32_t i = 0; i < n; ++i)
      nodes_.push_back({symbols[static_cast<size_t>(i)], i - 1, i + 1 < n ? i + 1 : -1});
    for (int32_t i = 0; i + 1 < n; ++i) offer(merges, i);
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end(), later);
      const Candidate c = heap_.back();
      heap_.pop_back();
      join(merges, c);
    }
    symbols.clear();
    for (int32_t i = 0; i != -1; i = at(i).next) symbols.push_back(at(i).id);
  }

 private:
  struct Node {
    int32_t id;  // -1: joined into its left neighbour
    int32_t previous, next;
  };
  struct Candidate {
    uint32_t rank;
    int32_t position, left, right, id;
  };
  static bool later(const Candidate& a, const Candidate& b) {
    return a.rank != b.rank ? a.rank > b.rank : a.position > b.position;
  }
  Node& at(int32_t i) { return nodes_[static_cast<size_t>(i)]; }

  void offer(const MergeTable& merges, int32_t i) {
    const Node& node = at(i);
    if (node.next == -1) return;
    const Merge m = merges.find(node.id, at(node.next).id);
    if (m.rank == UINT32_MAX) return;
    heap_.push_back({m.rank, i, node.id, at(node.next).id, m.id});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }

  void join(const MergeTable& merges, const Candidate& c) {
    Node& node = at(c.position);
    // Stale: a neighbour has been joined since this was offered.
    if (node.id != c.left || node.next == -1 || at(node.next).id != c.right) return;
    Node& right = at(node.next);
    node.id = c.id;
    node.next = right.next;
    right.id = -1;
    if (node.next != -1) at(node.next).previous = c.position;
    offer(merges, c.position);
    if (node.previous != -1) offer(merges, node.previous);
  }

  std::vector<Node> nodes_;
  std::vector<Candidate> heap_;
};

}  // namespace

Bpe::Bpe() : owner_(WordCache::new_owner()) {
  byte_ids.fill(-1);
}

WordCache& Bpe::cache() const {
  return WordCache::of(owner_);
}

void Bpe::encode(std::string_view piece, WordCache& cache, std::vector<int32_t>& ids) const {
  if (!cuts_at_spaces) return encode_word(piece, cache, ids);
  cut_at_spaces(piece, [&](std::string_view word) { encode_word(word, cache, ids); });
}

void Bpe::encode_word(std::string_view word, WordCache& cache, std::vector<int32_t>& ids) const {
  if (cache.find(word, ids)) return;
  const size_t before = ids.size();
  encode_new(word, ids);
  cache.put(word, ids.data() + before, ids.size() - before);
}

void Bpe::encode_new(std::string_view word, std::vector<int32_t>& ids) const {
  if (ignore_merges)
    if (const int32_t id = words.find(word); id >= 0) return ids.push_back(id);
  thread_local std::vector<int32_t> symbols_now;
  thread_local LongWord long_word;
  initial_symbols(word, symbols_now);
  CHECK(symbols_now.size() < size_t{INT32_MAX});
  if (symbols_now.size() <= kShortWord)
    merge_short(merges, symbols_now);
  else
    long_word.merge(merges, symbols_now);
  ids.insert(ids.end(), symbols_now.begin(), symbols_now.end());
}

void Bpe::initial_symbols(std::string_view word, std::vector<int32_t>& out) const {
  out.clear();
  if (symbols == Symbols::kBytes) {
    for (const char c : word)
      if (const int32_t id = byte_ids[static_cast<unsigned char>(c)]; id >= 0) out.push_back(id);
    return;
  }
  bool pending = false;  // an unknown token not yet written, to be fused with the next
  for (size_t at = 0; at < word.size();) {
    const auto size = static_cast<size_t>(read_utf8(word, at).size);
    const std::string_view character = word.substr(at, size);
    at += size;
    if (const int32_t id = words.find(character); id >= 0) {
      if (pending) out.push_back(unk);
      pending = false;
      out.push_back(id);
      continue;
    }
    const auto byte_id = [&](char c) { return byte_ids[static_cast<unsigned char>(c)]; };
    if (byte_fallback &&
        std::all_of(character.begin(), character.end(), [&](char c) { return byte_id(c) >= 0; })) {
      for (const char c : character) out.push_back(byte_id(c));
      continue;
    }
    if (unk < 0) continue;
    if (pending && !fuse_unk) out.push_back(unk);
    pending = true;
  }
  if (pending) out.push_back(unk);
}

}  // namespace nibble
