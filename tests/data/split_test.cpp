// SPDX-License-Identifier: Apache-2.0
#include "data/split.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <map>
#include <string>

#include "base/error.h"
#include "data/members.h"

namespace nibble {
namespace {

Digest key(int64_t i, uint64_t seed = 0) {
  return siphash128({seed, 7}, {reinterpret_cast<const char*>(&i), sizeof i});
}

TEST(Deal, KeepsEveryPartNearItsShareAtEveryMoment) {
  const std::vector<std::vector<double>> games = {
      {1},       {0.9, 0.05, 0.05},     {0.98, 0.01, 0.01},
      {3, 1, 0}, {1, 1, 1, 1, 1, 1, 1}, {100, 10, 1, 1}};
  for (const auto& shares : games) {
    double sum = 0;
    for (const double s : shares) sum += s;
    for (uint64_t seed = 0; seed < 20; ++seed) {
      Dealer dealer(shares, seed, seed);
      std::vector<int64_t> counts(shares.size());
      for (int64_t n = 1; n <= 2000; ++n) {
        ++counts[dealer.next()];
        for (size_t i = 0; i < shares.size(); ++i) {
          const double off =
              static_cast<double>(counts[i]) - static_cast<double>(n) * shares[i] / sum;
          ASSERT_LT(std::abs(off), 2) << "part " << i << " of " << shares.size() << " after " << n;
        }
      }
    }
  }
}

TEST(Deal, IsRandomAndTheSameForASeed) {
  const double shares[] = {1, 1};
  std::string first, again, other;
  Dealer a(shares, 1, 0), b(shares, 1, 0), c(shares, 2, 0);
  for (int i = 0; i < 200; ++i) {
    first += static_cast<char>('0' + a.next());
    again += static_cast<char>('0' + b.next());
    other += static_cast<char>('0' + c.next());
  }
  EXPECT_EQ(first, again);
  EXPECT_NE(first, other);
  // Neither by turns nor in halves.
  EXPECT_NE(first.find("00"), first.npos);
  EXPECT_NE(first.find("11"), first.npos);
}

TEST(Deal, SharesOnWhenAPartIsClosed) {
  const double shares[] = {2, 1, 1};
  Dealer dealer(shares, 3, 0);
  for (int i = 0; i < 101; ++i) dealer.next();
  dealer.close(0);
  std::array<int, 3> counts = {};
  for (int i = 0; i < 1000; ++i) ++counts[dealer.next()];
  EXPECT_EQ(counts[0], 0);
  EXPECT_NEAR(counts[1], 500, 3);
  dealer.close(1);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(dealer.next(), 2u);
}

TEST(Split, HasItsSharesAndMovesNothingWhenSharesGrow) {
  const SplitShares small = {.validation = 0.1, .test = 0.05},
                    large = {.validation = 0.2, .test = 0.05};
  constexpr int64_t kCount = 100000;
  std::array<int64_t, kSides> counts = {};
  for (int64_t i = 0; i < kCount; ++i) {
    const Side side = side_of(key(i), small), later = side_of(key(i), large);
    ++counts[static_cast<size_t>(side)];
    if (side != Side::kTrain) {
      EXPECT_EQ(side, later);
    }
  }
  // Binomial counts: 5 standard deviations.
  EXPECT_NEAR(static_cast<double>(counts[1]), 10000, 5 * std::sqrt(kCount * 0.1 * 0.9));
  EXPECT_NEAR(static_cast<double>(counts[2]), 5000, 5 * std::sqrt(kCount * 0.05 * 0.95));
}

TEST(Split, DealsEveryStratumItsSharesAndKeepsWhatItHasSaid) {
  const SplitShares shares = {.validation = 0.1, .test = 0.2};
  StratifiedSplit split(shares, 1), longer(shares, 1);
  std::map<int64_t, std::array<int64_t, kSides>> counts;
  std::vector<Side> sides;
  for (int64_t i = 0; i < 20000; ++i) {
    const int64_t stratum = static_cast<int64_t>(std::sqrt(i)) % 17;
    const Side side = split.side_of(key(i), key(stratum, 99));
    sides.push_back(side);
    ++counts[stratum][static_cast<size_t>(side)];
  }
  EXPECT_EQ(split.strata(), 17u);
  for (const auto& [stratum, c] : counts) {
    const auto n = static_cast<double>(c[0] + c[1] + c[2]);
    EXPECT_NEAR(static_cast<double>(c[1]), 0.1 * n, 2) << stratum;
    EXPECT_NEAR(static_cast<double>(c[2]), 0.2 * n, 2) << stratum;
  }
  for (int64_t i = 0; i < 20000; ++i) {  // again, each twice: what is equal stays together
    const Digest stratum = key(static_cast<int64_t>(std::sqrt(i)) % 17, 99);
    EXPECT_EQ(longer.side_of(key(i), stratum), sides[static_cast<size_t>(i)]);
    EXPECT_EQ(longer.side_of(key(i), stratum), sides[static_cast<size_t>(i)]);
  }
}

class Members : public testing::Test {
 protected:
  // The padding that simdjson reads.
  std::string padded(const std::string& json) { return json + std::string(64, ' '); }
  simdjson::dom::element parse(const std::string& json) {
    return parse_object(text_ = padded(json));
  }
  Digest digest(const std::string& json, const std::vector<std::string>& paths = {}) {
    return record_digest(parse(json), parse_member_paths(paths));
  }
  std::string texts(const std::string& json, const std::vector<std::string>& paths = {}) {
    std::vector<std::string_view> found;
    record_texts(parse(json), parse_member_paths(paths), found);
    std::string all;
    for (const auto text : found) all += cat(all.empty() ? "" : "|", text);
    return all;
  }

 private:
  std::string text_;
};

TEST_F(Members, DigestGoesByValue) {
  const Digest one = digest(R"({"a":1,"b":["x",null,true]})");
  EXPECT_EQ(one, digest(R"( {"b" : ["\u0078", null, true], "a": 1.0 })"));
  for (const char* other : {R"({"a":1,"b":["x",true,null]})", R"({"a":1,"b":["x",null]})", R"({})",
                            R"({"a":2,"b":["x",null,true]})", R"({"a":"1","b":["x",null,true]})",
                            R"({"a":1,"c":["x",null,true]})", R"({"a":1,"b":[["x",null,true]]})",
                            R"({"a":-1,"b":["x",null,true]})", R"({"a":1,"b":["x",null,false]})"})
    EXPECT_NE(one, digest(other)) << other;
  EXPECT_NE(digest(R"({"a":-1})"), digest(R"({"a":18446744073709551615})"));
  EXPECT_NE(digest(R"({"a":{"b":1,"c":2}})"), digest(R"({"a":{"b":2,"c":1}})"));
  EXPECT_EQ(digest(R"({"id":7,"a":1})", {"id"}), digest(R"({"id":7,"a":2})", {"id"}));
  EXPECT_NE(digest(R"({"id":7,"a":1})", {"id", "a"}), digest(R"({"id":7,"a":2})", {"id", "a"}));
  EXPECT_THROW(digest(R"({"id":null})", {"id"}), DataError);
}

TEST_F(Members, TextsAreFoundByPath) {
  const std::string chat =
      R"({"id":"x","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}],)"
      R"("meta":{"lang":"de"},"a.b":"c"})";
  EXPECT_EQ(texts(chat), "a|b|de|c");
  EXPECT_EQ(texts(chat, {"messages.content"}), "a|b");
  EXPECT_EQ(texts(chat, {"messages[1].content"}), "b");
  EXPECT_EQ(texts(chat, {"messages[1].content", "meta.lang"}), "b|de");
  EXPECT_EQ(texts(chat, {"a.b"}), "c");
  EXPECT_EQ(texts(chat, {"id"}), "x");
  EXPECT_EQ(texts(chat, {"nothing", "meta"}), "de");
  EXPECT_THROW(texts(chat, {"messages[2].content"}), DataError);
  EXPECT_THROW(texts(chat, {"meta.lang.x"}), DataError);
  for (const char* wrong : {"", ".", "a.", ".a", "a[].b", "a[x]", "a[-1]", "[0]", "a..b"})
    EXPECT_THROW(MemberPath path(wrong), UsageError) << wrong;
}

TEST_F(Members, OtherThanObjectsAreRefused) {
  for (const char* wrong :
       {"1", "[]", "\"x\"", "null", "{", "{\"a\":\"\\ud800\"}", "{\"a\":\"\xff\"}", "{\"a\":1}}"})
    EXPECT_THROW(parse(wrong), DataError) << wrong;
}

TEST_F(Members, LinesStandAsTheyAre) {
  std::string scratch;
  EXPECT_EQ(record_line("{ \"a\" : 1 }", scratch), "{ \"a\" : 1 }");
  EXPECT_EQ(record_line("{ \"a b\" :\r\n 1 }", scratch), "{\"a b\":1}");
}

}  // namespace
}  // namespace nibble
