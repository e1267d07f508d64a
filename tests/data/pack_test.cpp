// SPDX-License-Identifier: Apache-2.0
#include "data/pack.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/checked.h"
#include "base/error.h"
#include "base/rng.h"
#include "data/spool.h"

namespace nibble {
namespace {

// An example of that length whose every token says which example it is; all but the first trained.
TokenRow example(int64_t length, int32_t id) {
  TokenRow row;
  row.tokens.assign(static_cast<size_t>(length), id);
  row.trained.assign(static_cast<size_t>(length), 1);
  return row;
}

struct Packed {
  std::vector<PackedRow> rows;
  PackCounts counts;
};

Packed pack(const std::vector<TokenRow>& examples, const PackRules& rules) {
  Packed packed;
  Packer packer(rules, [&](const PackedRow& row) { packed.rows.push_back(row); });
  for (const TokenRow& e : examples) packer.add(e);
  packer.finish();
  packed.counts = packer.counts();
  return packed;
}

std::vector<TokenRow> numbered(const std::vector<int64_t>& lengths) {
  std::vector<TokenRow> examples;
  for (const int64_t length : lengths)
    examples.push_back(example(length, static_cast<int32_t>(examples.size())));
  return examples;
}

// The sequences of a row.
std::vector<TokenRow> sequences(const PackedRow& row) {
  std::vector<TokenRow> all;
  for (size_t s = 0; s < row.starts.size(); ++s) {
    const auto begin = row.starts[s];
    const auto end =
        s + 1 < row.starts.size() ? row.starts[s + 1] : static_cast<int32_t>(row.tokens.size());
    all.push_back({{row.tokens.begin() + begin, row.tokens.begin() + end},
                   {row.trained.begin() + begin, row.trained.begin() + end}});
  }
  return all;
}

/// Every example stands in exactly one row, whole, its first token untrained.
void expect_whole(const std::vector<TokenRow>& examples, const Packed& packed, int64_t length) {
  std::map<int32_t, int> seen;
  for (const PackedRow& row : packed.rows) {
    ASSERT_LE(std::ssize(row.tokens), length);
    for (const TokenRow& got : sequences(row)) {
      const int32_t id = got.tokens[0];
      TokenRow want = examples[static_cast<size_t>(id)];
      want.trained[0] = 0;
      ASSERT_EQ(got, want) << "example " << id;
      ++seen[id];
    }
  }
  ASSERT_EQ(seen.size(), examples.size());
  for (const auto& [id, times] : seen) ASSERT_EQ(times, 1) << "example " << id;
}

// Best-fit decreasing over everything, the plainest way.
int64_t best_fit_decreasing(std::vector<int64_t> lengths, int64_t length) {
  std::sort(lengths.rbegin(), lengths.rend());
  std::vector<int64_t> room;
  for (const int64_t n : lengths) {
    auto best = room.end();
    for (auto it = room.begin(); it != room.end(); ++it)
      if (*it >= n && (best == room.end() || *it < *best)) best = it;
    if (best == room.end())
      room.push_back(length - n);
    else
      *best -= n;
  }
  return std::ssize(room);
}

// Lengths as instruction data has them: log-normal around 90 tokens, or conversations around 600.
std::vector<int64_t> natural_lengths(int64_t count, double mean, double spread, int64_t most) {
  Rng rng(11);
  std::vector<int64_t> lengths;
  for (int64_t i = 0; i < count; ++i) {
    const double n = std::exp(std::log(mean) + spread * rng.normal());
    lengths.push_back(std::clamp<int64_t>(static_cast<int64_t>(n), 2, most));
  }
  return lengths;
}

TEST(PackTest, BestFit) {
  const auto examples = numbered({6, 5, 4, 3, 2, 2});  // of 8: 6+2, 5+3, 4+2
  const Packed packed = pack(examples, {.length = 8});
  expect_whole(examples, packed, 8);
  ASSERT_EQ(packed.rows.size(), 3u);
  EXPECT_EQ(packed.rows[0].tokens, (std::vector<int32_t>{0, 0, 0, 0, 0, 0, 4, 4}));
  EXPECT_EQ(packed.rows[0].starts, (std::vector<int32_t>{0, 6}));
  EXPECT_EQ(packed.rows[0].trained, (std::vector<uint8_t>{0, 1, 1, 1, 1, 1, 0, 1}));
  EXPECT_EQ(packed.rows[1].tokens, (std::vector<int32_t>{1, 1, 1, 1, 1, 3, 3, 3}));
  EXPECT_EQ(packed.rows[2].tokens, (std::vector<int32_t>{2, 2, 2, 2, 5, 5}));
}

TEST(PackTest, AtMostOneRowMoreThanTokensNeed) {
  for (const int64_t length : {1024, 2048, 4096})
    for (const auto& lengths :
         {natural_lengths(5000, 90, 0.8, 1024), natural_lengths(20000, 90, 0.8, 1024)}) {
      const auto examples = numbered(lengths);
      const Packed packed = pack(examples, {.length = length});
      expect_whole(examples, packed, length);
      int64_t tokens = 0;
      for (const int64_t n : lengths) tokens += n;
      EXPECT_EQ(packed.counts.tokens, tokens);
      EXPECT_LE(std::ssize(packed.rows), ceil_div(tokens, length) + 1) << length;
    }
}

// A window much smaller than the data costs at most 1% over best-fit decreasing over all of it.
TEST(PackTest, AWindowIsNearlyAsGoodAsAll) {
  const auto lengths = natural_lengths(6000, 600, 0.7, 2048);
  const auto examples = numbered(lengths);
  const int64_t all = best_fit_decreasing(lengths, 2048);
  EXPECT_EQ(std::ssize(pack(examples, {.length = 2048, .window_tokens = int64_t{1} << 30}).rows),
            all);
  const Packed packed = pack(examples, {.length = 2048, .window_tokens = 200 * 2048});
  expect_whole(examples, packed, 2048);
  EXPECT_LE(static_cast<double>(packed.rows.size()), 1.01 * static_cast<double>(all) + 1);
}

TEST(PackTest, RowsComeWhileExamplesGoIn) {
  int64_t given = 0, emitted = 0, most = 0;
  Packer packer({.length = 64, .window_tokens = 1000},
                [&](const PackedRow& row) { emitted += std::ssize(row.tokens); });
  Rng rng(5);
  for (int32_t i = 0; i < 20000; ++i) {
    const auto n = static_cast<int64_t>(33 + rng.below(31));  // no two fit one row
    packer.add(example(n, i));
    given += n;
    most = std::max(most, given - emitted);
  }
  packer.finish();
  EXPECT_EQ(given, emitted);
  EXPECT_LE(most, 2 * 1000 + 64);
}

TEST(PackTest, LongExamples) {
  std::vector<TokenRow> examples = {example(10, 0), example(25, 1), example(3, 2)};
  for (int i = 0; i < 25; ++i) examples[1].tokens[static_cast<size_t>(i)] = 100 + i;

  Packed packed = pack(examples, {.length = 10});
  EXPECT_EQ(packed.counts.dropped, 1);
  EXPECT_EQ(packed.counts.tokens, 13);
  EXPECT_EQ(packed.counts.examples, 3);

  packed = pack(examples, {.length = 10, .long_examples = LongExamples::kTruncate});
  EXPECT_EQ(packed.counts.truncated, 1);
  EXPECT_EQ(packed.counts.tokens, 23);

  packed =
      pack(examples, {.length = 10, .mode = PackMode::kPad, .long_examples = LongExamples::kSplit});
  EXPECT_EQ(packed.counts.split, 1);
  EXPECT_EQ(packed.counts.sequences, 5);
  ASSERT_EQ(packed.rows.size(), 5u);
  std::vector<int32_t> joined;
  for (size_t r = 1; r <= 3; ++r) {
    joined.insert(joined.end(), packed.rows[r].tokens.begin(), packed.rows[r].tokens.end());
    EXPECT_EQ(packed.rows[r].trained[0], 0) << "a piece's first token has nothing before it";
  }
  EXPECT_EQ(joined, examples[1].tokens);
  EXPECT_EQ(packed.rows[3].tokens.size(), 5u);
}

TEST(PackTest, NothingToLearn) {
  TokenRow prompt_only = example(5, 1), first_only = example(5, 2), one = example(1, 3);
  std::fill(prompt_only.trained.begin(), prompt_only.trained.end(), 0);
  std::fill(first_only.trained.begin() + 1, first_only.trained.end(), 0);
  const Packed packed = pack({prompt_only, {}, first_only, one, example(2, 4)}, {.length = 8});
  EXPECT_EQ(packed.counts.untrained, 3);
  EXPECT_EQ(packed.counts.empty, 1);
  ASSERT_EQ(packed.rows.size(), 1u);
  EXPECT_EQ(packed.rows[0].tokens, (std::vector<int32_t>{4, 4}));

  TokenRow late = example(12, 5);  // what is trained on is cut off
  std::fill(late.trained.begin(), late.trained.begin() + 8, 0);
  const PackRules truncating = {.length = 8, .long_examples = LongExamples::kTruncate};
  EXPECT_EQ(pack({late}, truncating).counts.untrained, 1);
}

TEST(PackTest, OneExampleARow) {
  const auto examples = numbered({6, 5, 9, 3, 9});
  Packed packed = pack(examples, {.length = 10, .mode = PackMode::kPad});
  expect_whole(examples, packed, 10);
  ASSERT_EQ(packed.rows.size(), 5u);
  for (size_t r = 0; r < 5; ++r) EXPECT_EQ(packed.rows[r].tokens[0], static_cast<int32_t>(r));

  packed = pack(examples, {.length = 10, .mode = PackMode::kGroup});
  expect_whole(examples, packed, 10);
  std::vector<int32_t> order;
  for (const PackedRow& row : packed.rows) order.push_back(row.tokens[0]);
  EXPECT_EQ(order, (std::vector<int32_t>{2, 4, 0, 1, 3}));
}

// A preference pair: all tokens of a side are its number, the first two of each the prompt's.
TokenRow pair_of(int64_t chosen, int64_t rejected, int32_t id) {
  TokenRow row = example(chosen + rejected, id);
  row.rejected = static_cast<int32_t>(chosen);
  row.kind = ExampleKind::kPair;
  for (const int64_t at : {int64_t{0}, int64_t{1}, chosen, chosen + 1})
    row.trained[static_cast<size_t>(at)] = 0;
  return row;
}

TEST(PackTest, PairsStaySideBySide) {
  Rng rng(8);
  std::vector<TokenRow> examples;
  for (int32_t i = 0; i < 2000; ++i)
    examples.push_back(pair_of(3 + static_cast<int64_t>(rng.below(30)),
                               3 + static_cast<int64_t>(rng.below(30)), i));
  for (const PackMode mode : {PackMode::kPack, PackMode::kPad, PackMode::kGroup}) {
    const Packed packed = pack(examples, {.length = 128, .mode = mode});
    EXPECT_EQ(packed.counts.sequences, 4000);
    std::map<int32_t, int> seen;
    for (const PackedRow& row : packed.rows) {
      ASSERT_LE(std::ssize(row.tokens), 128);
      ASSERT_TRUE(row.desirable.empty());
      const auto sides = sequences(row);
      ASSERT_EQ(sides.size() % 2, 0u);
      for (size_t s = 0; s < sides.size(); s += 2) {
        const TokenRow& want = examples[static_cast<size_t>(sides[s].tokens[0])];
        TokenRow got = sides[s];
        got.rejected = static_cast<int32_t>(got.tokens.size());
        got.kind = ExampleKind::kPair;
        got.tokens.insert(got.tokens.end(), sides[s + 1].tokens.begin(), sides[s + 1].tokens.end());
        got.trained.insert(got.trained.end(), sides[s + 1].trained.begin(),
                           sides[s + 1].trained.end());
        ASSERT_EQ(got, want);
        ++seen[got.tokens[0]];
      }
    }
    EXPECT_EQ(seen.size(), examples.size());
  }
}

TEST(PackTest, LongPairs) {
  const PackRules truncating = {.length = 20, .long_examples = LongExamples::kTruncate};
  struct Case {
    int64_t chosen, rejected, keep_chosen, keep_rejected;
  };
  for (const Case& c : {Case{30, 30, 10, 10}, {30, 5, 15, 5}, {5, 30, 5, 15}, {11, 10, 10, 10}}) {
    const Packed packed = pack({pair_of(c.chosen, c.rejected, 1)}, truncating);
    ASSERT_EQ(packed.rows.size(), 1u) << c.chosen;
    EXPECT_EQ(std::ssize(packed.rows[0].tokens), 20);
    EXPECT_EQ(packed.rows[0].starts,
              (std::vector<int32_t>{0, static_cast<int32_t>(c.keep_chosen)}));
    EXPECT_EQ(packed.counts.truncated, 1);
    EXPECT_EQ(packed.counts.longest, std::max(c.keep_chosen, c.keep_rejected));
  }
  EXPECT_EQ(pack({pair_of(30, 30, 1)}, {.length = 20}).counts.dropped, 1);
  TokenRow half = pair_of(8, 8, 1);  // nothing to learn on the rejected side
  std::fill(half.trained.begin() + 8, half.trained.end(), 0);
  EXPECT_EQ(pack({half}, {.length = 20}).counts.untrained, 1);
}

TEST(PackTest, RatingsGoWithTheirAnswers) {
  std::vector<TokenRow> examples = numbered({6, 5, 4, 3, 2, 2, 7});
  for (size_t i = 0; i < examples.size(); ++i) {
    examples[i].kind = ExampleKind::kRated;
    examples[i].desirable = i % 3 == 0;
  }
  size_t seen = 0;
  for (const PackedRow& row : pack(examples, {.length = 8}).rows) {
    ASSERT_EQ(row.desirable.size(), row.starts.size());
    const auto all = sequences(row);
    for (size_t s = 0; s < all.size(); ++s, ++seen)
      EXPECT_EQ(row.desirable[s], all[s].tokens[0] % 3 == 0);
  }
  EXPECT_EQ(seen, examples.size());
}

TEST(SpoolTest, KeepsKinds) {
  TokenSpool spool;
  TokenRow rated = example(3, 1);
  rated.kind = ExampleKind::kRated;
  rated.desirable = true;
  const std::vector<TokenRow> rows = {pair_of(4, 5, 2), rated, example(2, 3), {}};
  for (const TokenRow& row : rows) spool.add(row);
  TokenRow row;
  for (const int64_t i : {2, 0, 3, 1}) {
    spool.read(i, row);
    EXPECT_EQ(row, rows[static_cast<size_t>(i)]);
  }
}

TEST(SpoolTest, ReadsInAnyOrder) {
  TokenSpool spool;
  Rng rng(9);
  std::vector<TokenRow> rows;
  for (int32_t i = 0; i < 3000; ++i) {
    rows.push_back(example(static_cast<int64_t>(rng.below(900)), i));
    for (uint8_t& bit : rows.back().trained) bit = static_cast<uint8_t>(rng.below(2));
    spool.add(rows.back());
  }
  ASSERT_EQ(spool.size(), 3000);
  TokenRow row;
  for (int i = 0; i < 3000; ++i) {
    const auto at = static_cast<int64_t>(rng.below(3000));
    spool.read(at, row);
    ASSERT_EQ(row, rows[static_cast<size_t>(at)]);
  }
}

TEST(SpoolTest, NamesTheFolderThatCannotBeWritten) {
  const char* old = std::getenv("TMPDIR");
  const std::string kept = old ? old : "/tmp";
  setenv("TMPDIR", "/nonexistent", 1);
  EXPECT_THROW(TokenSpool(), CannotCreateError);
  setenv("TMPDIR", kept.c_str(), 1);
}

}  // namespace
}  // namespace nibble
