// SPDX-License-Identifier: Apache-2.0
// Which records are to go: those that an earlier one makes needless, and those that a benchmark
// would be spoilt by. Records are looked at in order and compared with those kept before.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/flat_table.h"
#include "data/members.h"
#include "data/near_duplicates.h"
#include "data/ngrams.h"
#include "data/novelty.h"
#include "data/shingles.h"

namespace nibble {

struct DedupRules {
  std::vector<MemberPath> fields;  // what is compared; none: all
  bool exact = true;               // equal records
  bool normalize = false;          // texts are equal where their words are
  std::optional<double> near;      // Jaccard similarity of shingles
  ShingleRules shingles;
  std::optional<double> novelty;         // ROUGE-L F-measure
  const NgramSet* benchmarks = nullptr;  // not owned
  uint64_t seed = 0;
};

enum class Reason : uint8_t { kDuplicate, kContaminated, kNearDuplicate, kNotNovel };
constexpr size_t kReasons = 4;
/// "duplicate", "contaminated", "near_duplicate", "not_novel".
std::string_view reason_name(Reason reason);

struct Removal {
  Reason reason = Reason::kDuplicate;
  int64_t of = 0;         // number of the kept record, or of the benchmark's
  double similarity = 1;  // Jaccard or F-measure
  std::string ngram;      // in common with the benchmark
};

class Dedup {
 public:
  explicit Dedup(DedupRules rules);

  /// What is to be known of a record.
  struct Traits {
    Digest digest;
    NearIndex::Sketch sketch;
    std::string words;
    std::optional<Removal> contamination;
  };
  /// May be called by several threads at once. Throws DataError.
  void look(std::string_view record, Traits& traits) const;
  /// Why the record goes, or nothing where it stays; those that stay are numbered from 0.
  std::optional<Removal> decide(const Traits& traits);
  /// Lets a record stay, whatever it is like.
  void keep(const Traits& traits);
  int64_t kept() const { return kept_; }

 private:
  DedupRules rules_;
  int64_t kept_ = 0;
  FlatTable<Digest, uint32_t> digests_;
  std::optional<NearIndex> near_;
  std::optional<Novelty> novelty_;
  WordNumbers numbers_;
  std::vector<uint32_t> words_;
};

}  // namespace nibble
