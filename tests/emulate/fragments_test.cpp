// SPDX-License-Identifier: Apache-2.0
// Operand layouts against the formulas of the PTX ISA's sections on ldmatrix and mma.m16n8k16,
// written out element by element: where i indexes a thread's elements, row and column are functions
// of the thread.
#include "fragments.h"

#include <gtest/gtest.h>

#include "base/float16.h"
#include "emulate.h"
#include "fixture.h"

namespace nibble::emulate_test {
namespace {

uint16_t half_of(const std::vector<uint32_t>& words, int thread, int registers, int element) {
  const uint32_t word = words[static_cast<size_t>(thread * registers + element / 2)];
  return static_cast<uint16_t>(element % 2 == 0 ? word : word >> 16);
}

void check_matrices(int matrices, bool transposed) {
  std::vector<uint16_t> rows(static_cast<size_t>(matrices) * 64);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<uint16_t>(i * 7 + 3);
  const Stream stream;
  DeviceArray<uint16_t> in(rows);
  DeviceArray<uint32_t> out(32 * matrices);
  load_matrices(out.data(), in.data(), matrices, transposed, stream.handle());
  const std::vector<uint32_t> registers = out.read(stream);
  for (int thread = 0; thread < 32; ++thread) {
    for (int matrix = 0; matrix < matrices; ++matrix) {
      for (int i = 0; i < 2; ++i) {
        const int row = thread / 4, column = thread % 4 * 2 + i;
        const int at = transposed ? column * 8 + row : row * 8 + column;
        EXPECT_EQ(half_of(registers, thread, matrices, matrix * 2 + i),
                  rows[static_cast<size_t>(matrix * 64 + at)])
            << "thread " << thread << " matrix " << matrix << " element " << i;
      }
    }
  }
}

TEST(Fragments, LdmatrixFollowsThePtxManual) {
  for (const int matrices : {2, 4}) {
    for (const bool transposed : {false, true}) check_matrices(matrices, transposed);
  }
}

// PTX ISA, m16n8k16, .bf16: row = groupID or groupID + 8, column by threadID_in_group.
struct Position {
  int row, column;
};
Position of_a(int thread, int i) {
  const int group = thread >> 2, in_group = thread % 4;
  return {(i < 2 || (4 <= i && i < 6)) ? group : group + 8,
          i < 4 ? in_group * 2 + (i & 1) : in_group * 2 + (i & 1) + 8};
}
Position of_b(int thread, int i) {
  const int group = thread >> 2, in_group = thread % 4;
  return {i < 2 ? in_group * 2 + (i & 1) : in_group * 2 + (i & 1) + 8, group};
}
Position of_c(int thread, int i) {
  const int group = thread >> 2, in_group = thread % 4;
  return {i < 2 ? group : group + 8, in_group * 2 + (i & 1)};
}

TEST(Fragments, MmaFollowsThePtxManual) {
  // Small integers: every product and sum is exact.
  int a[16][16], b[16][8], c[16][8];
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 16; ++j) a[i][j] = (i * 5 + j * 3) % 17 - 8;
    for (int j = 0; j < 8; ++j) b[i][j] = (i * 7 + j * 11) % 13 - 6;
    for (int j = 0; j < 8; ++j) c[i][j] = i * 8 + j;
  }
  std::vector<uint32_t> a_words(128), b_words(64);
  std::vector<float> d_words(128);
  for (int thread = 0; thread < 32; ++thread) {
    const auto put = [&](std::vector<uint32_t>& words, int registers, int i, int value) {
      words[static_cast<size_t>(thread * registers + i / 2)] |=
          uint32_t{to_bf16(static_cast<float>(value)).bits} << (i % 2 * 16);
    };
    for (int i = 0; i < 8; ++i) put(a_words, 4, i, a[of_a(thread, i).row][of_a(thread, i).column]);
    for (int i = 0; i < 4; ++i) put(b_words, 2, i, b[of_b(thread, i).row][of_b(thread, i).column]);
    for (int i = 0; i < 4; ++i) {
      d_words[static_cast<size_t>(thread * 4 + i)] =
          static_cast<float>(c[of_c(thread, i).row][of_c(thread, i).column]);
    }
  }
  const Stream stream;
  DeviceArray<uint32_t> da(a_words), db(b_words);
  DeviceArray<float> dd(d_words);
  multiply_fragments(dd.data(), da.data(), db.data(), stream.handle());
  const std::vector<float> got = dd.read(stream);
  for (int thread = 0; thread < 32; ++thread) {
    for (int i = 0; i < 4; ++i) {
      const auto [row, column] = of_c(thread, i);
      int want = c[row][column];
      for (int k = 0; k < 16; ++k) want += a[row][k] * b[k][column];
      EXPECT_EQ(got[static_cast<size_t>(thread * 4 + i)], static_cast<float>(want))
          << "row " << row << " column " << column;
    }
  }
}

// PTX ISA, "Register fragments and shared memory matrix layouts" of wgmma: of warp w sixteen rows
// from 16 w on, each as of mma.m16n8k16 for every eight columns. In shared memory a row of the
// pattern is 128 bytes, of which the 16-byte parts of row r are exchanged by r % 8.
class Warpgroups : public testing::TestWithParam<std::tuple<int, bool>> {};

TEST_P(Warpgroups, FollowThePtxManual) {
  const auto [tiles, down] = GetParam();
  const int columns = tiles * 8;
  const auto a = [](int row, int k) { return (row * 5 + k * 3) % 17 - 8; };
  const auto b = [](int k, int column) { return (k * 7 + column * 11) % 13 - 6; };
  const auto c = [](int row, int column) { return row * 3 - column; };
  // Element (row, column) of a matrix in panels of 64 columns, `rows` of them.
  const auto place = [](int rows, int row, int column) {
    const int part = column % 64 / 8, byte = (part ^ row % 8) * 16 + column % 8 * 2;
    return static_cast<size_t>(column / 64 * rows * 128 + row * 128 + byte) / 2;
  };
  std::vector<uint16_t> left(down ? 1024 : 64 * 64), right(down ? 16 * columns : columns * 64);
  const auto put = [](std::vector<uint16_t>& words, size_t at, int value) {
    words[at] = to_bf16(static_cast<float>(value)).bits;
  };
  for (int k = 0; k < 16; ++k) {
    for (int j = 0; j < columns; ++j)
      put(right, down ? place(16, k, j) : place(columns, j, k), b(k, j));
    for (int i = 0; i < 64 && !down; ++i) put(left, place(64, i, k), a(i, k));
  }
  std::vector<float> d(static_cast<size_t>(128 * tiles * 4));
  const auto row_of = [](int thread, int i) { return thread / 32 * 16 + of_c(thread % 32, i).row; };
  for (int thread = 0; thread < 128; ++thread) {
    for (int i = 0; i < 8 && down; ++i) {
      const Position at = of_a(thread % 32, i);
      put(left, static_cast<size_t>(thread * 8 + i), a(thread / 32 * 16 + at.row, at.column));
    }
    for (int i = 0; i < tiles * 4; ++i) {
      const int column = i / 4 * 8 + of_c(thread % 32, i % 4).column;
      d[static_cast<size_t>(thread * tiles * 4 + i)] =
          static_cast<float>(c(row_of(thread, i % 4), column));
    }
  }
  const auto words = [](const std::vector<uint16_t>& halves) {
    std::vector<uint32_t> out;
    for (size_t i = 0; i < halves.size(); i += 2)
      out.push_back(halves[i] | uint32_t{halves[i + 1]} << 16);
    return out;
  };
  const Stream stream;
  DeviceArray<uint32_t> da(words(left)), db(words(right));
  DeviceArray<float> dd(d);
  multiply_warpgroup({.d = dd.data(),
                      .a = da.data(),
                      .b = db.data(),
                      .tiles = tiles,
                      .a_bytes = down ? 0 : static_cast<int>(left.size() * 2),
                      .b_bytes = static_cast<int>(right.size() * 2),
                      .leading = 16 * 128,
                      .stride = 1024,
                      .down = down},
                     stream.handle());
  const std::vector<float> got = dd.read(stream);
  for (int thread = 0; thread < 128; ++thread) {
    for (int i = 0; i < tiles * 4; ++i) {
      const int row = row_of(thread, i % 4), column = i / 4 * 8 + of_c(thread % 32, i % 4).column;
      int want = c(row, column);
      for (int k = 0; k < 16; ++k) want += a(row, k) * b(k, column);
      EXPECT_EQ(got[static_cast<size_t>(thread * tiles * 4 + i)], static_cast<float>(want))
          << "row " << row << " column " << column;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Emulate, Warpgroups,
                         testing::Combine(testing::Values(8, 16), testing::Bool()));

TEST(Warps, ShufflesAndVotes) {
  const Stream stream;
  DeviceArray<unsigned> out(kCollectives * 32);
  collectives(out.data(), stream.handle());
  const std::vector<unsigned> got = out.read(stream);
  const auto op = [&](unsigned i, unsigned lane) { return got[i * 32 + lane]; };
  for (unsigned lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(op(0, lane), 5u);
    EXPECT_EQ(op(1, lane), lane / 8 * 8 + (lane + 1) % 8);
    EXPECT_EQ(op(2, lane), lane % 16 < 3 ? lane : lane - 3);
    EXPECT_EQ(op(3, lane), lane + 3 > 31 ? lane : lane + 3);
    EXPECT_EQ(op(4, lane), lane ^ 9);
    EXPECT_EQ(op(5, lane), 0x49249249u);
    EXPECT_EQ(op(6, lane), 2u);
    EXPECT_EQ(op(7, lane), 0xfu << lane / 4 * 4);
    EXPECT_EQ(op(8, lane), 496u);
    EXPECT_EQ(op(9, lane), lane ^ (lane < 16 ? 1u : 2u));
  }
}

TEST(Atomics, AddUpOverBlocks) {
  constexpr int kBlocks = 50, kThreads = kBlocks * 64;
  const Stream stream;
  DeviceArray<unsigned> out(std::vector<unsigned>(5, 0));
  DeviceArray<float> sum(std::vector<float>(1, 0));
  atomics(out.data(), sum.data(), kBlocks, stream.handle());
  unsigned all = 0;
  for (unsigned i = 0; i < kThreads; ++i) all ^= i;
  EXPECT_EQ(out.read(stream),
            (std::vector<unsigned>{kThreads, kThreads - 1, static_cast<unsigned>(1 - kThreads), all,
                                   2 * kThreads}));
  EXPECT_EQ(sum.read(stream)[0], kThreads * 0.5f);
}

TEST(CpAsync, FillsWithZerosWhatIsNotValid) {
  std::vector<int> in(64);
  for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<int>(i) + 1;
  const Stream stream;
  DeviceArray<int> source(in), out(128);
  copy_guarded(out.data(), source.data(), 64, stream.handle());
  in.resize(128);
  EXPECT_EQ(out.read(stream), in);
}

}  // namespace
}  // namespace nibble::emulate_test
