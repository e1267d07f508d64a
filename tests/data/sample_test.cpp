// SPDX-License-Identifier: Apache-2.0
// Training data as people look at it: pieces, the classic mistakes, and statistics.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/rng.h"
#include "data/duplicate_counter.h"
#include "data/length_counts.h"
#include "data/show_samples.h"
#include "text/script.h"
#include "text/tokenizer.h"

namespace nibble {
namespace {

using Mistakes = std::vector<Mistake>;

std::unique_ptr<Tokenizer> tiny() {
  return load_tokenizer(fs::path(NIBBLE_TEST_DATA) / "support" / "tiny-tokenizer");
}

// A sequence of marked-up text: what stands in ( ) is trained on.
Sample tokens_of(const Tokenizer& t, std::string_view text, int64_t limit = 0) {
  std::vector<int32_t> ids;
  std::vector<uint8_t> trained;
  bool label = false;
  while (!text.empty()) {
    const size_t end = std::min(text.find_first_of("()"), text.size());
    t.encode(text.substr(0, end), SpecialText::kParse, ids);
    trained.resize(ids.size(), label);
    if (end < text.size()) label = text[end] == '(';
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return sample_of_tokens(&t, ids, trained, limit);
}

TEST(SampleTest, MistakesInTokens) {
  const auto t = tiny();
  const auto of = [&](std::string_view text, int64_t limit = 0) {
    return tokens_of(*t, text, limit).mistakes;
  };
  ASSERT_TRUE(t->eos && t->bos);
  const std::string bos = t->token_text(*t->bos), end = "<|im_end|>";
  EXPECT_EQ(of("<|im_start|>user q" + end + "(a" + end + ")"), Mistakes{});
  EXPECT_EQ(of("q(a" + end + ")r(b" + end + ")"), Mistakes{});
  EXPECT_EQ(of("q" + end), Mistakes{Mistake::kNothingTrained});
  EXPECT_EQ(of("(qa" + end + ")"), Mistakes{Mistake::kEverythingTrained});
  EXPECT_EQ(of("(" + bos + ")qa"), Mistakes{Mistake::kNothingTrained})
      << "the first token is no target";
  EXPECT_EQ(of("q(a)" + end), Mistakes{Mistake::kNoEnd});
  EXPECT_EQ(of("q(a" + end + ")r(b)"), Mistakes{Mistake::kTruncated});
  EXPECT_EQ(of("q q(x)", tokens_of(*t, "q q(x)").length()), Mistakes{Mistake::kTruncated})
      << "it fills its row";
  EXPECT_EQ(of(bos + bos + "q(a" + end + ")"), Mistakes{Mistake::kTwoBos});
}

TEST(SampleTest, MistakesInText) {
  const auto of = [](std::vector<Segment> segments) {
    return sample_of_segments(segments).mistakes;
  };
  EXPECT_EQ(of({{false, "<s>q"}, {true, "a</s>"}}), Mistakes{});
  EXPECT_EQ(of({{false, "<s><s>q"}, {true, "a</s>"}}), Mistakes{Mistake::kTwoBos});
  EXPECT_EQ(of({{false, "q"}}), Mistakes{Mistake::kNothingTrained});
  EXPECT_EQ(of({{true, "q</s>"}}), Mistakes{Mistake::kEverythingTrained});
  EXPECT_EQ(of({{false, "q"}, {true, "a < b and b > c"}}), Mistakes{Mistake::kNoEnd});
  EXPECT_EQ(of({{false, "q"}, {true, "a<|im_end|>"}, {false, "\n"}, {true, "b"}}),
            Mistakes{Mistake::kTruncated});
}

TEST(SampleTest, PiecesHoldAllTheText) {
  const auto t = tiny();
  const std::string text = "<|im_start|>user\nh\xc3\xa9llo<|im_end|>\n<|im_start|>assistant\n";
  const Sample sample = tokens_of(*t, text + "(yes<|im_end|>)\n");
  std::string all, special, learnt;
  for (const Piece& p : sample.pieces) {
    all += p.text;
    if (p.special) special += p.text;
    if (p.trained) learnt += p.text;
  }
  EXPECT_EQ(all, text + "yes<|im_end|>\n");
  EXPECT_EQ(special, "<|im_start|><|im_end|><|im_start|><|im_end|>");
  EXPECT_EQ(learnt, "yes<|im_end|>");
  EXPECT_EQ(sample.length(), std::ssize(sample.ids));
  EXPECT_EQ(sample_of_segments(std::vector<Segment>{{false, "h\xc3\xa9"}, {true, "ab"}}).length(),
            4);
}

// Whatever the text holds, nothing but the tool's own styles reaches the terminal.
TEST(SampleTest, TextCannotTouchTheTerminal) {
  const std::string evil = "\x1b[2J\x1b]0;t\x07\r\b\t\x7f\xc2\x9b\xe2\x80\xae\xff<s>";
  const Sample sample =
      sample_of_segments(std::vector<Segment>{{false, evil}, {true, evil + "\n"}});
  for (const bool color : {false, true}) {
    std::string shown = show_sample("a\x1b[0m:1", sample, color);
    for (const char* style :
         {"\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[7m", "\x1b[1;38;5;208m", "\x1b[1;7;38;5;208m"})
      for (size_t at; (at = shown.find(style)) != std::string::npos;)
        shown.erase(at, std::string_view(style).size());
    for (const char c : shown)
      EXPECT_TRUE(c == '\n' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f)) << int{c};
    EXPECT_EQ(shown.find("\xc2\x9b"), std::string::npos);
    EXPECT_EQ(shown.find("\xe2\x80\xae"), std::string::npos);
    const std::string want = "␛[2J␛]0;t␇␍␈␉␡\\u009b\\u202e\xef\xbf\xbd";
    EXPECT_NE(shown.find(want), std::string::npos) << shown;
  }
}

TEST(SampleTest, ShowRanges) {
  const auto of = [](std::string_view text) {
    const ShowRange r = parse_show_range(text);
    return std::pair(r.first, r.last);
  };
  EXPECT_EQ(of(""), std::pair(int64_t{1}, int64_t{3}));
  EXPECT_EQ(of("7"), std::pair(int64_t{1}, int64_t{7}));
  EXPECT_EQ(of("4-9"), std::pair(int64_t{4}, int64_t{9}));
  for (const char* bad : {"0", "a", "-3", "3-", "5-4", "1.5", "99999999999999999999"})
    EXPECT_THROW(parse_show_range(bad), UsageError) << bad;
}

TEST(LengthCountsTest, Quantiles) {
  Rng rng(6);
  LengthCounts counts;
  std::vector<int64_t> all;
  for (int i = 0; i < 20000; ++i) {
    all.push_back(static_cast<int64_t>(std::exp(rng.uniform() * 14)));
    counts.add(all.back());
  }
  std::sort(all.begin(), all.end());
  for (const double q : {0.0, 0.01, 0.25, 0.5, 0.9, 0.99, 1.0}) {
    const auto at = static_cast<size_t>(std::max(0.0, std::ceil(q * 20000) - 1));
    const int64_t want = all[at], got = counts.quantile(q);
    EXPECT_LE(got, want) << q;
    EXPECT_GE(got, want < 4096 ? want : want - want / 2048 - 1) << q;
  }
  int64_t sum = 0;
  for (int64_t low = 1; low < int64_t{1} << 22; low *= 2) {
    const auto in = [&](int64_t n) { return n >= low && n < 2 * low; };
    EXPECT_EQ(counts.between(low, 2 * low), std::count_if(all.begin(), all.end(), in)) << low;
    sum += counts.between(low, 2 * low);
  }
  EXPECT_EQ(sum, 20000);
  EXPECT_EQ(counts.total(), 20000);
}

TEST(DuplicateCounterTest, ExactWhileItFitsAndNearBeyond) {
  Rng rng(4);
  DuplicateCounter exact, sampled(1000);
  int64_t copies = 0;
  std::vector<uint64_t> hashes;
  for (int i = 0; i < 100000; ++i) {
    uint64_t hash = static_cast<uint64_t>(rng.below(UINT64_MAX));
    if (i > 0 && rng.below(4) == 0) {
      hash = hashes[rng.below(hashes.size())];
      ++copies;
    }
    hashes.push_back(hash);
    exact.add(hash);
    sampled.add(hash);
  }
  EXPECT_TRUE(exact.exact());
  EXPECT_EQ(exact.count(), copies);
  EXPECT_FALSE(sampled.exact());
  // 500 to 1000 values kept, a third of them copied again: six standard deviations.
  EXPECT_NEAR(static_cast<double>(sampled.count()), static_cast<double>(copies),
              6 * static_cast<double>(copies) * std::sqrt(2.0 / (500 / 3.0)));
}

TEST(ScriptTest, Letters) {
  const std::pair<char32_t, Script> letters[] = {
      {'a', Script::kLatin},       {'Z', Script::kLatin},     {0xe9, Script::kLatin},
      {0x1e9e, Script::kLatin},    {0x3b1, Script::kGreek},   {0x416, Script::kCyrillic},
      {0x5d0, Script::kHebrew},    {0x627, Script::kArabic},  {0x915, Script::kDevanagari},
      {0xe01, Script::kThai},      {0xac00, Script::kHangul}, {0x3042, Script::kHiragana},
      {0x30a2, Script::kKatakana}, {0x65e5, Script::kHan},    {0x20000, Script::kHan},
      {0x13a0, Script::kOther},    {'1', Script::kNone},      {' ', Script::kNone},
      {0x3001, Script::kNone},     {0x1f600, Script::kNone},  {0xfffd, Script::kNone},
      {0x10ffff, Script::kNone}};
  for (const auto& [code, want] : letters)
    EXPECT_EQ(script_name(script_of(code)), script_name(want)) << static_cast<uint32_t>(code);
}

}  // namespace
}  // namespace nibble
