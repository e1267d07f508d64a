// SPDX-License-Identifier: Apache-2.0
#include "data/near_duplicates.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/error.h"
#include "base/rng.h"
#include "data/shingles.h"

namespace nibble {
namespace {

using Set = std::vector<uint64_t>;

Set random_set(size_t size, Rng& rng) {
  Set set(size);
  for (uint64_t& x : set) x = rng.next_u64();
  std::sort(set.begin(), set.end());
  return set;
}

// Another set, with `changed` members replaced.
Set changed_set(Set set, size_t changed, Rng& rng) {
  shuffle(set.begin(), set.end(), rng);
  for (size_t i = 0; i < changed; ++i) set[i] = rng.next_u64();
  std::sort(set.begin(), set.end());
  return set;
}

TEST(Shingles, AreEachTextsOwn) {
  const auto of = [](const std::string& rules, std::vector<std::string_view> texts) {
    Set set;
    make_shingles(parse_shingle_rules(rules), texts, set);
    EXPECT_TRUE(std::is_sorted(set.begin(), set.end()));
    return set;
  };
  EXPECT_EQ(of("words:2", {"a b c"}).size(), 2u);
  EXPECT_EQ(of("words:2", {"A, b; C"}), of("words:2", {"a b c"}));
  EXPECT_EQ(of("words:2", {"a b a b a b"}).size(), 2u);
  EXPECT_EQ(of("words:2", {"a", "b"}).size(), 2u);  // not across two texts
  EXPECT_NE(of("words:2", {"a", "b"}), of("words:2", {"a b"}));
  EXPECT_NE(of("words:2", {"a b"}), of("words:2", {"b a"}));
  EXPECT_EQ(of("words:9", {"a b c"}).size(), 1u);
  EXPECT_TRUE(of("words:3", {"!?", ""}).empty());
  EXPECT_EQ(of("chars:3", {"abcde"}).size(), 3u);
  EXPECT_EQ(of("chars:3", {"A  b"}), of("chars:3", {"a b"}));
  EXPECT_EQ(of("chars:2", {"\u00e9\u00e8\u00e7"}).size(), 2u);
  EXPECT_EQ(of("chars:9", {"abc"}).size(), 1u);
  for (const char* wrong : {"", "words", "words:", "words:0", "words:3x", "lines:3", "chars:1001"})
    EXPECT_THROW(parse_shingle_rules(wrong), UsageError) << wrong;
}

TEST(Shingles, JaccardIsSharedByAll) {
  const Set a = {1, 2, 3, 4}, b = {3, 4, 5}, none;
  EXPECT_EQ(jaccard(a, b), 2.0 / 5);
  EXPECT_EQ(jaccard(a, a), 1);
  EXPECT_EQ(jaccard(a, none), 0);
  EXPECT_EQ(jaccard(none, none), 0);
}

TEST(NearDuplicates, BandsMissFewAtTheThreshold) {
  for (double t = 0.05; t <= 1; t += 0.05) {
    const Bands bands = bands_for(t);
    EXPECT_LE(bands.count * bands.rows, 128);
    const double missed = std::pow(1 - std::pow(t, bands.rows), bands.count);
    EXPECT_LE(missed, 0.005) << t;
  }
  EXPECT_EQ(bands_for(0.8).count, 18);
  EXPECT_EQ(bands_for(0.8).rows, 6);
}

TEST(NearDuplicates, TableFindsAllOfAKeyHoweverItGrew) {
  BandTable table;
  std::multimap<uint32_t, uint32_t> want;
  Rng rng(3);
  for (uint32_t i = 0; i < 20000; ++i) {
    // Some keys often, and both ends of their range.
    const uint32_t key = i % 3 == 0   ? static_cast<uint32_t>(rng.below(50))
                         : i % 3 == 1 ? ~static_cast<uint32_t>(rng.below(50))
                                      : rng.next_u32();
    table.add(key, i);
    want.emplace(key, i);
  }
  for (const auto& [key, number] : want) {
    std::vector<uint32_t> found;
    table.find(key, found);
    std::sort(found.begin(), found.end());
    std::vector<uint32_t> all;
    for (auto [at, end] = want.equal_range(key); at != end; ++at) all.push_back(at->second);
    std::sort(all.begin(), all.end());
    ASSERT_EQ(found, all);
  }
  std::vector<uint32_t> found;
  table.find(12345678, found);
  EXPECT_TRUE(found.empty());
}

// Families of sets around the threshold: what is found is compared with all pairs.
TEST(NearDuplicates, FindsWhatIsAlikeAndNothingElse) {
  constexpr double kThreshold = 0.8;
  Rng rng(4);
  std::vector<Set> sets;
  for (int family = 0; family < 600; ++family) {
    const Set first = random_set(20 + rng.below(100), rng);
    sets.push_back(first);
    for (uint64_t n = rng.below(5); n > 0; --n)
      sets.push_back(changed_set(first, rng.below(first.size() / 4), rng));
  }
  shuffle(sets.begin(), sets.end(), rng);
  sets.push_back({});
  sets.push_back({});
  NearIndex index(kThreshold, 0);
  NearIndex::Sketch sketch;
  int64_t alike = 0, found = 0;
  for (size_t i = 0; i < sets.size(); ++i) {
    sketch.shingles = sets[i];
    index.sketch(sketch);
    std::optional<size_t> want;
    for (size_t j = 0; j < i && !want; ++j)
      if (jaccard(sets[j], sets[i]) >= kThreshold) want = j;
    const auto match = index.find(sketch);
    alike += want.has_value();
    found += match.has_value();
    if (match) {
      ASSERT_TRUE(want);
      const double similarity = jaccard(sets[static_cast<size_t>(match->number)], sets[i]);
      EXPECT_EQ(match->similarity, similarity);
      EXPECT_GE(similarity, kThreshold);
      EXPECT_GE(match->number, static_cast<int64_t>(*want));
    }
    index.add(sketch);
  }
  EXPECT_GT(alike, 500);
  EXPECT_GE(static_cast<double>(found), 0.98 * static_cast<double>(alike));
}

TEST(NearDuplicates, ThresholdOneMeansEqualSets) {
  Rng rng(5);
  NearIndex index(1, 0);
  NearIndex::Sketch sketch;
  const Set set = random_set(40, rng);
  sketch.shingles = set;
  index.sketch(sketch);
  index.add(sketch);
  EXPECT_TRUE(index.find(sketch));
  sketch.shingles = changed_set(set, 1, rng);
  index.sketch(sketch);
  EXPECT_FALSE(index.find(sketch));
}

}  // namespace
}  // namespace nibble
