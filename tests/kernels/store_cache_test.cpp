// SPDX-License-Identifier: Apache-2.0
#include "kernels/store_cache.h"

#include <gtest/gtest.h>

#include "base/profile.h"
#include "support/op_harness.h"

namespace nibble {
namespace {

TEST(StoreCacheOp, WritesOnePositionOfEachRow) {
  const std::array<int64_t, 3> shapes[] = {{1, 1, 1},  {3, 5, 7},     {2, 9, 8},   {5, 4, 16},
                                           {4, 3, 17}, {2, 11, 1024}, {3, 2, 2056}};
  for (const auto& [b, room, width] : shapes)
    for (const Dtype dtype : kFloatTypes)
      for (const int64_t gap : {0, 3}) {
        OpCase op(cat("store_cache ", dtype_name(dtype), " ", shape_name({b, room, width})), 11);
        Buffer& keys = op.in_place("keys", dtype, {b, room, width});
        Buffer& values = op.in_place("values", dtype, {b, room, width});
        Buffer& k = op.input("k", dtype, {b, width}, gap);
        Buffer& v = op.input("v", dtype, {b, width}, gap);
        Buffer& lengths = op.input("lengths", Dtype::kI32, {b});
        std::vector<Bounded> want_keys, want_values;
        for (int64_t i = 0; i < b; ++i) lengths.set(i, double(i % 3 == 1 ? 0 : 1 + i % room));
        for (int64_t at = 0; at < keys.size(); ++at) {
          const int64_t row = at / (room * width), position = at / width % room;
          const bool stored = double(position) == lengths.at(row) - 1;
          const int64_t from = row * width + at % width;
          want_keys.push_back(stored ? k.at(from) : keys.at(at));
          want_values.push_back(stored ? v.at(from) : values.at(at));
        }
        op.want(keys, want_keys);
        op.want(values, want_values);
        op.check([&] {
          store_cache({.keys = keys.tensor(),
                       .values = values.tensor(),
                       .k = k.tensor(),
                       .v = v.tensor(),
                       .lengths = lengths.tensor()});
        });
      }
}

// The cache may be far larger than what is written, and than what memory does in the time.
TEST(StoreCacheEntry, CountsThePositionsThatItWrites) {
  OpCase op("store_cache", 13);
  Buffer& lengths = op.input("lengths", Dtype::kI32, {2});
  const StoreCache store = {.keys = op.output("keys", Dtype::kF32, {2, 4096, 16}).tensor(),
                            .values = op.output("values", Dtype::kF32, {2, 4096, 16}).tensor(),
                            .k = op.input("k", Dtype::kF32, {2, 16}).tensor(),
                            .v = op.input("v", Dtype::kF32, {2, 16}).tensor(),
                            .lengths = lengths.tensor()};
  lengths.set_values({1, 4096});
  profile_start();
  store_cache(store);
  const Profile profile = profile_stop();
  ASSERT_EQ(profile.rows.size(), 1u);
  // Keys and values of two sequences, read and written, and two lengths.
  EXPECT_EQ(profile.rows[0].bytes, 2 * 2 * 2 * 16 * 4 + 2 * 4);
}

TEST(StoreCacheEntry, RefusesWrongArguments) {
  OpCase op("store_cache", 12);
  Buffer& lengths = op.input("lengths", Dtype::kI32, {2});
  StoreCache right = {.keys = op.output("keys", Dtype::kF32, {2, 3, 4}).tensor(),
                      .values = op.output("values", Dtype::kF32, {2, 3, 4}).tensor(),
                      .k = op.input("k", Dtype::kF32, {2, 4}).tensor(),
                      .v = op.input("v", Dtype::kF32, {2, 4}).tensor(),
                      .lengths = lengths.tensor()};
  lengths.set_values({0, 3});
  EXPECT_NO_THROW(store_cache(right));
  for (const double outside : {-1.0, 4.0}) {
    lengths.set(0, outside);
    EXPECT_THROW(store_cache(right), BugError);
  }
  right.v = op.input("v", Dtype::kBf16, {2, 4}).tensor();
  EXPECT_THROW(store_cache(right), BugError);
}

}  // namespace
}  // namespace nibble
