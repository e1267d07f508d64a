// SPDX-License-Identifier: Apache-2.0
#include "data/near_duplicates.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/hash64.h"
#include "base/rng.h"
#include "data/shingles.h"
#include "kernels/minhash.h"

namespace nibble {
namespace {

constexpr double kMissed = 0.005;
constexpr int64_t kMinima = 128;
constexpr size_t kMaxEntries = size_t{1} << 32;

}  // namespace

Bands bands_for(double threshold) {
  CHECK(threshold > 0 && threshold <= 1);
  for (int64_t rows = 16; rows >= 1; --rows) {
    const double agree = std::pow(threshold, static_cast<double>(rows));
    const double count = agree >= 1 ? 1 : std::ceil(std::log(kMissed) / std::log1p(-agree));
    if (count * static_cast<double>(rows) <= kMinima) return {static_cast<int64_t>(count), rows};
  }
  return {kMinima, 1};  // below a similarity of 0.04: as good as it gets
}

BandTable::BandTable() : entries_(64) {}

void BandTable::put(Entry entry) {
  size_t place = place_of(entry.key);
  while (entries_[place].number != kFree)
    if (++place == entries_.size()) place = 0;
  entries_[place] = entry;
}

void BandTable::add(uint32_t key, uint32_t number) {
  if (5 * (used_ + 1) > 4 * entries_.size()) {
    CHECK(entries_.size() < kMaxEntries);
    std::vector<Entry> old(entries_.size() + entries_.size() / 2);
    old.swap(entries_);
    for (const Entry& entry : old)
      if (entry.number != kFree) put(entry);
  }
  put({key, number});
  ++used_;
}

void BandTable::find(uint32_t key, std::vector<uint32_t>& numbers) const {
  for (size_t place = place_of(key); entries_[place].number != kFree;) {
    if (entries_[place].key == key) numbers.push_back(entries_[place].number);
    if (++place == entries_.size()) place = 0;
  }
}

NearIndex::NearIndex(double threshold, uint64_t seed)
    : threshold_(threshold),
      bands_(bands_for(threshold)),
      tables_(static_cast<size_t>(bands_.count)) {
  Rng rng(seed, static_cast<uint64_t>(RngStream::kSample));
  seeds_.resize(static_cast<size_t>(bands_.count * bands_.rows));
  for (uint32_t& s : seeds_) s = rng.next_u32();
}

void NearIndex::sketch(Sketch& sketch) const {
  thread_local std::vector<uint32_t> items, minima;
  items.assign(sketch.shingles.begin(), sketch.shingles.end());  // the low halves
  minima.resize(seeds_.size());
  minhash({.minima = minima, .seeds = seeds_, .items = items});
  sketch.keys.resize(static_cast<size_t>(bands_.count));
  const auto rows = static_cast<size_t>(bands_.rows);
  for (size_t band = 0; band < sketch.keys.size(); ++band)
    sketch.keys[band] = static_cast<uint32_t>(hash64(
        {reinterpret_cast<const char*>(minima.data() + band * rows), rows * sizeof(uint32_t)}));
}

std::optional<NearIndex::Match> NearIndex::find(const Sketch& sketch) {
  if (sketch.shingles.empty()) return std::nullopt;
  for (size_t i = 0; i < tables_.size(); ++i) tables_[i].prefetch(sketch.keys[i]);
  candidates_.clear();
  for (size_t i = 0; i < tables_.size(); ++i) tables_[i].find(sketch.keys[i], candidates_);
  std::sort(candidates_.begin(), candidates_.end());
  candidates_.erase(std::unique(candidates_.begin(), candidates_.end()), candidates_.end());
  const auto size = static_cast<double>(sketch.shingles.size());
  for (const uint32_t number : candidates_) {
    // Sets are no more alike than their sizes.
    const auto other = static_cast<double>(sizes_[number]);
    if (std::min(size, other) < threshold_ * std::max(size, other)) continue;
    other_.resize(sizes_[number]);
    sets_.read(offsets_[number], other_.data(), sizeof(uint64_t) * other_.size());
    const double similarity = jaccard(sketch.shingles, other_);
    if (similarity >= threshold_) return Match{number, similarity};
  }
  return std::nullopt;
}

void NearIndex::add(const Sketch& sketch) {
  CHECK(sizes_.size() < UINT32_MAX && sketch.shingles.size() <= UINT32_MAX);
  const auto number = static_cast<uint32_t>(sizes_.size());
  offsets_.push_back(sets_.end());
  sizes_.push_back(static_cast<uint32_t>(sketch.shingles.size()));
  if (sketch.shingles.empty()) return;
  sets_.add(sketch.shingles.data(), sizeof(uint64_t) * sketch.shingles.size());
  for (size_t i = 0; i < tables_.size(); ++i) tables_[i].add(sketch.keys[i], number);
}

}  // namespace nibble
