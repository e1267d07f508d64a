// SPDX-License-Identifier: Apache-2.0
// Sizes and counts as people write them, and back.
#include <gtest/gtest.h>

#include "cli/tool.h"

namespace nibble {
namespace {

TEST(Sizes, AreReadWithTheirUnits) {
  const std::pair<const char*, uint64_t> cases[] = {{"0", 0},
                                                    {"1000", 1000},
                                                    {"512MiB", 512u << 20},
                                                    {"16GB", 16e9},
                                                    {"1.5GiB", 1610612736},
                                                    {"7B", 7},
                                                    {"100kB", 100'000},
                                                    {"24G", uint64_t{24} << 30}};
  for (const auto& [text, want] : cases) EXPECT_EQ(parse_size(text).bytes, want) << text;
  for (const char* text : {"", "GiB", "-1", "1 GB", "1gib", "nan", "inf", "1e300", "4194304TiB"})
    EXPECT_THROW(parse_size(text), UsageError) << text;
}

TEST(Sizes, AreWrittenSoThatTheyReadTheSame) {
  const std::pair<uint64_t, const char*> cases[] = {{0, "0"},
                                                    {1, "1"},
                                                    {1000, "1kB"},
                                                    {1023, "1023"},
                                                    {1024, "1KiB"},
                                                    {1536, "1536"},
                                                    {5'000'000'000, "5GB"},
                                                    {100'000, "100kB"},
                                                    {16u << 20, "16MiB"},
                                                    {24'000'000'000, "24GB"},
                                                    {uint64_t{24} << 30, "24GiB"}};
  for (const auto& [bytes, want] : cases) {
    EXPECT_EQ(exact_size(bytes), want);
    EXPECT_EQ(parse_size(want).bytes, bytes);
  }
}

TEST(Counts, AreWhole) {
  EXPECT_EQ(parse_count("10k").value, 10'000);
  EXPECT_EQ(parse_count("2.5M").value, 2'500'000);
  for (const char* text : {"", "1.5", "0.0001k", "-1", "1kk"})
    EXPECT_THROW(parse_count(text), UsageError) << text;
}

}  // namespace
}  // namespace nibble
