// SPDX-License-Identifier: Apache-2.0
#include "cli/profile.h"

#include <gtest/gtest.h>

namespace nibble {
namespace {

const MachineRates kRates = {
    .f32_flops = 1e11, .bf16_flops = 2e11, .read_bytes = 4e10, .copy_bytes = 2e10};

Profile profile_of(ProfileRow row, int64_t dropped = 0) {
  return {.seconds = 1.0, .rows = {std::move(row)}, .events = {{}, {}}, .dropped = dropped};
}

TEST(ProfileTable, ComparesWithTheBestOfTheMachine) {
  const ProfileRow row{
      .name = "op", .calls = 3, .seconds = 0.5, .self = 0.5, .flops = 5e10, .bytes = 1e10};
  const std::string table = profile_table(profile_of(row), kRates);
  // Half of the time at 100 of at most 200 GFLOP/s, and 20 of at most 40 GB/s.
  EXPECT_NE(table.find("  50.0%     0.500        3     100.0    50%      20.0    50%  op\n"),
            table.npos)
      << table;
  EXPECT_EQ(table.find("the trace holds"), table.npos);
}

TEST(ProfileTable, ComparesWithNothingWhereNothingIsKnown) {
  const ProfileRow row{.name = "op", .calls = 1, .seconds = 1, .self = 1, .flops = 5e6};
  const std::string table = profile_table(profile_of(row), {});
  EXPECT_NE(table.find(" 0.005 "), table.npos) << table;
  EXPECT_EQ(table.find("inf"), table.npos) << table;
  EXPECT_EQ(table.find("nan"), table.npos) << table;
}

TEST(ProfileTable, ColumnsStayApart) {
  const ProfileRow row{.name = "op", .calls = 1, .seconds = 1, .self = 1e-3, .bytes = 1e13};
  const std::string table = profile_table(profile_of(row), kRates);
  EXPECT_NE(table.find(" 10000000.0 25000000%  op\n"), table.npos) << table;
}

TEST(ProfileTable, SaysWhatTheTraceLeavesOut) {
  const std::string table = profile_table(profile_of({.name = "op"}, 7), kRates);
  EXPECT_NE(table.find("\n  the trace holds the first 2 spans; 7 more "), table.npos) << table;
}

}  // namespace
}  // namespace nibble
