// SPDX-License-Identifier: Apache-2.0
#include "io/nbp.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <numeric>
#include <optional>

#include "base/error.h"
#include "base/rng.h"
#include "io/crc32c.h"
#include "io/json.h"
#include "io/nbp_layout.h"

namespace nibble {
namespace {

class NbpTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / cat("nibble-nbp-", static_cast<int64_t>(getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path path(const char* name = "a.nbp") const { return folder_ / name; }

  static PackedRow random_row(Rng& rng, const ShardInfo& info, int64_t tokens) {
    PackedRow row;
    for (int64_t i = 0; i < tokens; ++i) {
      row.tokens.push_back(static_cast<int32_t>(rng.below(static_cast<uint64_t>(info.vocab_size))));
      row.trained.push_back(static_cast<uint8_t>(rng.below(2)));
      if (i == 0 || rng.below(5) == 0) row.starts.push_back(static_cast<int32_t>(i));
    }
    for (const int32_t s : row.starts) row.trained[static_cast<size_t>(s)] = 0;
    return row;
  }

  /// Rows of lengths 1, the row length, and what lies between.
  std::vector<PackedRow> write(const ShardInfo& info, int64_t rows, uint64_t seed = 7) const {
    Rng rng(seed);
    std::vector<PackedRow> all;
    ShardWriter writer(path(), info);
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t tokens =
          r % 3 == 0 ? info.row_length
          : r % 3 == 1
              ? 1
              : 1 + static_cast<int64_t>(rng.below(static_cast<uint64_t>(info.row_length)));
      all.push_back(random_row(rng, info, tokens));
      writer.add(all.back());
    }
    writer.commit();
    return all;
  }

  std::string bytes() const { return read_text_file(path()); }
  void put(const std::string& content) const {
    std::ofstream(path(), std::ios::binary | std::ios::trunc) << content;
  }
  /// What opening and verifying says, or "" where it finds nothing wrong.
  std::string fault() const {
    try {
      ShardReader(path()).verify();
    } catch (const DataError& e) {
      return e.what();
    }
    return "";
  }

  fs::path folder_;
};

ShardInfo small_info(int64_t row_length = 16, int64_t vocab = 300) {
  return {.row_length = row_length, .vocab_size = vocab, .tokenizer = "00ff", .mode = "pack"};
}

TEST(Crc32cTest, KnownVectors) {
  EXPECT_EQ(crc32c("123456789", 9), 0xE3069283u);  // the catalogue's check value
  const std::string zeros(32, '\0'), ones(32, '\xff');
  EXPECT_EQ(crc32c(zeros.data(), 32), 0x8A9136AAu);  // RFC 3720, B.4
  EXPECT_EQ(crc32c(ones.data(), 32), 0x62A8AB43u);
  EXPECT_EQ(crc32c("6789", 4, crc32c("12345", 5)), 0xE3069283u);
}

TEST_F(NbpTest, RoundTripAtRandom) {
  struct Case {
    int64_t row_length, vocab, rows;
  };
  // One token a row, 16- and 32-bit ids, rows that fill frames exactly, less and more.
  for (const Case& c : {Case{1, 2, 1},
                        {1, 1, 70000},
                        {16, 65536, 4096},
                        {16, 65537, 4095},
                        {16, 65537, 4097},
                        {2048, 32000, 100},
                        {70000, 128256, 5}}) {
    SCOPED_TRACE(cat("length ", c.row_length, " vocabulary ", c.vocab, " rows ", c.rows));
    const auto info = small_info(c.row_length, c.vocab);
    const auto want = write(info, c.rows);
    ShardReader reader(path());
    reader.verify();
    EXPECT_EQ(reader.info().row_length, c.row_length);
    EXPECT_EQ(reader.info().vocab_size, c.vocab);
    EXPECT_EQ(reader.info().tokenizer, "00ff");
    EXPECT_EQ(reader.info().mode, "pack");
    ASSERT_EQ(reader.rows(), c.rows);
    int64_t tokens = 0, sequences = 0, trained = 0, longest = 0;
    for (const PackedRow& row : want) {
      tokens += std::ssize(row.tokens);
      sequences += std::ssize(row.starts);
      for (size_t k = 0; k < row.starts.size(); ++k)
        longest = std::max<int64_t>(
            longest, (k + 1 < row.starts.size() ? row.starts[k + 1] : std::ssize(row.tokens)) -
                         row.starts[k]);
      trained += std::accumulate(row.trained.begin(), row.trained.end(), int64_t{0});
    }
    EXPECT_EQ(reader.info().tokens, tokens);
    EXPECT_EQ(reader.info().sequences, sequences);
    EXPECT_EQ(reader.info().longest, longest);
    EXPECT_EQ(reader.info().trained, trained);

    std::vector<int64_t> order(static_cast<size_t>(c.rows));
    std::iota(order.begin(), order.end(), 0);
    Rng rng(3);
    shuffle(order.begin(), order.end(), rng);
    order.resize(std::min<size_t>(order.size(), 500));
    PackedRow row;
    for (const int64_t i : order) {
      reader.read(i, row);
      ASSERT_EQ(row, want[static_cast<size_t>(i)]) << "row " << i;
    }
  }
}

TEST_F(NbpTest, FirstTokenOfASequenceIsNeverTrained) {
  ShardWriter writer(path(), small_info());
  writer.add({.tokens = {1, 2, 3, 4}, .trained = {1, 1, 1, 1}, .starts = {0, 2}});
  EXPECT_EQ(writer.info().trained, 2);
  writer.commit();
  PackedRow row;
  ShardReader(path()).read(0, row);
  EXPECT_EQ(row.trained, (std::vector<uint8_t>{0, 1, 0, 1}));
}

// Pairs and ratings: version 2, read back whole; whoever wants examples is told.
TEST_F(NbpTest, Preferences) {
  for (const ExampleKind kind : {ExampleKind::kPair, ExampleKind::kRated}) {
    auto info = small_info(64);
    info.kind = kind;
    Rng rng(3);
    std::vector<PackedRow> want;
    ShardWriter writer(path(), info);
    for (int r = 0; r < 3000; ++r) {
      PackedRow row = random_row(rng, info, 2 + static_cast<int64_t>(rng.below(63)));
      if (row.starts.size() % 2 != 0) {
        row.starts.pop_back();
        if (row.starts.empty()) row.starts = {0, 1};
        row.trained[static_cast<size_t>(row.starts.back())] = 0;
      }
      if (kind == ExampleKind::kRated)
        for (size_t i = 0; i < row.starts.size(); ++i)
          row.desirable.push_back(static_cast<uint8_t>(rng.below(2)));
      want.push_back(row);
      writer.add(row);
    }
    writer.commit();
    EXPECT_EQ(bytes()[8], 2);
    ShardReader reader(path());
    reader.verify();
    EXPECT_EQ(reader.info().kind, kind);
    PackedRow row;
    for (size_t r = 0; r < want.size(); ++r) {
      reader.read(static_cast<int64_t>(r), row);
      ASSERT_EQ(row, want[r]);
    }
    try {
      expect_examples(reader);
      ADD_FAILURE();
    } catch (const UnavailableError& e) {
      EXPECT_EQ(e.what(), cat(path().string(), ": holds ",
                              kind == ExampleKind::kPair ? "preference pairs" : "rated answers",
                              ", which next-token training cannot take; pack examples that have "
                              "one answer each"));
    }
  }
  write(small_info(), 3);
  EXPECT_EQ(bytes()[8], 1);
  expect_examples(ShardReader(path()));
}

TEST_F(NbpTest, NothingIsKeptWithoutCommit) {
  {
    ShardWriter writer(path(), small_info());
    writer.add({.tokens = {1}, .trained = {0}, .starts = {0}});
  }
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(NbpTest, WriterRefusesImpossibleRows) {
  ShardWriter writer(path(), small_info(4, 10));
  EXPECT_THROW(writer.add({}), BugError);
  EXPECT_THROW(writer.add({{1, 2, 3, 4, 5}, {0, 0, 0, 0, 0}, {0}}), BugError);
  EXPECT_THROW(writer.add({{1, 2}, {0}, {0}}), BugError);
  EXPECT_THROW(writer.add({{1, 10}, {0, 0}, {0}}), BugError);
  EXPECT_THROW(writer.add({{1, -1}, {0, 0}, {0}}), BugError);
  EXPECT_THROW(writer.add({{1, 2}, {0, 0}, {1}}), BugError);
  EXPECT_THROW(writer.add({{1, 2}, {0, 0}, {0, 2}}), BugError);
  EXPECT_THROW(writer.add({{1, 2}, {0, 0}, {0, 0}}), BugError);
}

TEST_F(NbpTest, SameRowsSameBytesAndDigest) {
  write(small_info(), 50);
  const std::string first = bytes(), digest = ShardReader(path()).digest();
  EXPECT_EQ(digest.size(), 16u);
  write(small_info(), 50);
  EXPECT_EQ(bytes(), first);
  EXPECT_EQ(ShardReader(path()).digest(), digest);
  write(small_info(), 50, 8);
  EXPECT_NE(ShardReader(path()).digest(), digest);
}

TEST_F(NbpTest, EveryFlippedByteIsFound) {
  write(small_info(16), 30);
  const std::string good = bytes();
  std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
  const auto set = [&](size_t i, char byte) {
    file.seekp(static_cast<std::streamoff>(i));
    file.put(byte).flush();
  };
  for (size_t i = 0; i < good.size(); ++i) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      set(i, static_cast<char>(good[i] ^ flip));
      EXPECT_NE(fault(), "") << "byte " << i << " of " << good.size() << " flipped by " << flip;
    }
    set(i, good[i]);
  }
  EXPECT_EQ(fault(), "");
}

TEST_F(NbpTest, EveryTruncationIsFound) {
  write(small_info(16), 30);
  const std::string good = bytes();
  for (size_t size = good.size(); size-- > 0;) {
    fs::resize_file(path(), size);
    EXPECT_NE(fault(), "") << size << " of " << good.size() << " bytes";
  }
  put(good + '\0');
  EXPECT_NE(fault(), "");
}

TEST_F(NbpTest, DamageIsNamedByFrame) {
  const auto info = small_info(2048, 32000);  // 32 rows a frame
  const auto want = write(info, 100);
  const std::string good = bytes();
  std::string bad = good;
  bad[good.size() / 3] ^= 4;  // in the second frame of four
  put(bad);
  EXPECT_EQ(fault(), path().string() +
                         ": frame 1 (rows 32 to 63): checksum differs; make it again "
                         "with nibble-pack");
  ShardReader reader(path());
  PackedRow row;
  reader.read(31, row);
  EXPECT_EQ(row, want[31]);
  reader.read(64, row);
  EXPECT_EQ(row, want[64]);
  EXPECT_THROW(reader.read(40, row), DataError);
  EXPECT_THROW(reader.read(40, row), DataError) << "a damaged frame must not stay in the cache";
  reader.read(99, row);
  EXPECT_EQ(row, want[99]);
  bad[good.size() * 2 / 3] ^= 4;
  put(bad);
  EXPECT_TRUE(fault().ends_with("(2 of 4 frames are damaged)")) << fault();
}

// Files whose checksums are right and whose contents are hostile.
class HostileNbpTest : public NbpTest {
 protected:
  /// A shard built by hand from its parts.
  struct Parts {
    std::string header = R"({"row_length":16,"vocab_size":300,"tokenizer":"t","mode":"pack",)"
                         R"("rows_per_frame":4,"id_bytes":2})";
    std::vector<std::string> frames;  // stored bytes
    std::vector<uint32_t> raw_bytes;
    std::string summary = R"({"rows":0,"sequences":0,"tokens":0,"trained":0,"longest":0})";
    std::optional<uint64_t> index_offset;
    std::optional<uint32_t> frame_count, summary_bytes;
    uint32_t version = 1;
  };

  void build(const Parts& parts) const {
    std::string file(nbp::kMagic);
    nbp::append(file, parts.version);
    nbp::append(file, static_cast<uint32_t>(parts.header.size()));
    file += parts.header;
    const uint32_t header_crc = crc32c(file.data(), file.size());
    for (const std::string& frame : parts.frames) file += frame;
    const uint64_t index_offset = file.size();
    for (size_t f = 0; f < parts.frames.size(); ++f) {
      nbp::append(file, static_cast<uint32_t>(parts.frames[f].size()));
      nbp::append(file, parts.raw_bytes[f]);
      nbp::append(file, crc32c(parts.frames[f].data(), parts.frames[f].size()));
    }
    file += parts.summary;
    nbp::append(file, parts.index_offset.value_or(index_offset));
    nbp::append(file, parts.frame_count.value_or(static_cast<uint32_t>(parts.frames.size())));
    nbp::append(file, parts.summary_bytes.value_or(static_cast<uint32_t>(parts.summary.size())));
    nbp::append(file, header_crc);
    const uint64_t from =
        std::min<uint64_t>(parts.index_offset.value_or(index_offset), file.size());
    nbp::append(file, crc32c(file.data() + from, file.size() - from));
    file += nbp::kEndMark;
    put(file);
  }

  static std::string compress(const std::string& raw);

  /// A frame of one row: T, S, ids, starts, mask.
  static std::string one_row(uint32_t tokens, uint32_t sequences, std::vector<uint16_t> ids,
                             std::vector<uint32_t> starts, std::string mask) {
    std::string raw;
    nbp::append(raw, tokens);
    nbp::append(raw, sequences);
    for (const uint16_t id : ids) nbp::append(raw, id);
    for (const uint32_t start : starts) nbp::append(raw, start);
    return raw + mask;
  }
  std::string fault_of_frame(const std::string& raw, const char* counts) const {
    Parts parts;
    parts.frames = {compress(raw)};
    parts.raw_bytes = {static_cast<uint32_t>(raw.size())};
    parts.summary = counts;
    build(parts);
    return fault();
  }
};

std::string HostileNbpTest::compress(const std::string& raw) {
  // A zstd frame of raw blocks is easily written by hand (RFC 8878, 3.1.1): magic, descriptor
  // (single segment, 4-byte content size), content size, blocks of a 3-byte header and content.
  std::string out;
  nbp::append(out, uint32_t{0xFD2FB528});
  out += '\xa0';
  nbp::append(out, static_cast<uint32_t>(raw.size()));
  size_t at = 0;
  do {
    const size_t n = std::min<size_t>(raw.size() - at, 1000);
    const auto block = static_cast<uint32_t>(n << 3 | (at + n == raw.size() ? 1u : 0u));
    out.append(reinterpret_cast<const char*>(&block), 3);
    out += raw.substr(at, n);
    at += n;
  } while (at < raw.size());
  return out;
}

constexpr const char* kOneRow = R"({"rows":1,"sequences":1,"tokens":2,"trained":1,"longest":2})";

TEST_F(HostileNbpTest, TheBuilderMakesGoodFiles) {
  build({});
  EXPECT_EQ(fault(), "");
  EXPECT_EQ(ShardReader(path()).rows(), 0);
  EXPECT_EQ(fault_of_frame(one_row(2, 1, {7, 8}, {0}, "\x02"), kOneRow), "");
}

TEST_F(HostileNbpTest, Headers) {
  const auto header = [&](const char* json, const char* want) {
    Parts parts;
    parts.header = json;
    build(parts);
    EXPECT_NE(fault().find(want), std::string::npos) << json << ": " << fault();
  };
  header("", "JSON");
  header("[]", "\"row_length\"");
  header("{", "JSON");
  header(R"({"row_length":"16"})", "\"row_length\"");
  header(R"({"row_length":-1})", "\"row_length\" is -1");
  header(R"({"row_length":0})", "\"row_length\" is 0");
  header(R"({"row_length":16777217})", "\"row_length\" is 16777217");
  header(R"({"row_length":1e30})", "\"row_length\"");
  header(R"({"row_length":16,"vocab_size":0})", "\"vocab_size\" is 0");
  header(R"({"row_length":16,"vocab_size":2147483648})", "\"vocab_size\" is 2147483648");
  header(R"({"row_length":16,"vocab_size":9,"id_bytes":4})", "does not fit");
  header(R"({"row_length":16,"vocab_size":9,"id_bytes":2,"rows_per_frame":1048577})",
         "\"rows_per_frame\" is 1048577");
  header(R"({"row_length":16,"vocab_size":9,"id_bytes":2,"rows_per_frame":1})", "\"tokenizer\"");
  header(R"({"row_length":16,"vocab_size":9,"id_bytes":2,"rows_per_frame":1,"tokenizer":"t",)"
         R"("mode":7})",
         "\"mode\"");
  Parts parts;
  parts.version = 3;
  build(parts);
  EXPECT_NE(fault().find("is of version 3"), std::string::npos) << fault();
  parts.version = 2;  // which says of what kind it is
  build(parts);
  EXPECT_NE(fault().find("no known \"kind\""), std::string::npos) << fault();
  put("{\"input_ids\":[1]}\n");
  EXPECT_NE(fault().find("is no packed shard"), std::string::npos) << fault();
}

TEST_F(HostileNbpTest, Counts) {
  const auto summary = [&](const char* json, const char* want) {
    Parts parts;
    parts.summary = json;
    build(parts);
    EXPECT_NE(fault().find(want), std::string::npos) << json << ": " << fault();
  };
  summary("{}", "\"rows\"");
  summary(R"({"rows":1,"sequences":1,"tokens":2,"trained":1})", "\"rows\" is 1");
  summary(R"({"rows":9223372036854775807})", "\"rows\" is");
  summary(R"({"rows":0,"tokens":1,"sequences":0})", "\"tokens\" is 1");
  for (const uint32_t huge : {1u, 0x7fffffffu, 0xffffffffu}) {
    Parts parts;
    parts.frame_count = huge;
    build(parts);
    EXPECT_NE(fault(), "") << "frames " << huge;
    parts = {};
    parts.summary_bytes = huge;
    build(parts);
    EXPECT_NE(fault(), "") << "summary " << huge;
  }
  for (const uint64_t offset : {uint64_t{0}, uint64_t{1} << 40, UINT64_MAX}) {
    Parts parts;
    parts.index_offset = offset;
    build(parts);
    EXPECT_NE(fault(), "") << "index at " << offset;
  }
  const std::string row = one_row(2, 1, {7, 8}, {0}, "\x02");
  EXPECT_EQ(fault_of_frame(row, kOneRow), "");
  for (const char* counts : {R"({"rows":2,"sequences":2,"tokens":2,"trained":0,"longest":2})",
                             R"({"rows":1,"sequences":1,"tokens":3,"trained":1,"longest":2})",
                             R"({"rows":1,"sequences":2,"tokens":2,"trained":0,"longest":2})",
                             R"({"rows":1,"sequences":1,"tokens":2,"trained":0,"longest":2})",
                             R"({"rows":1,"sequences":1,"tokens":2,"trained":1,"longest":0})",
                             R"({"rows":1,"sequences":1,"tokens":2,"trained":1,"longest":1})",
                             R"({"rows":1,"sequences":1,"tokens":2,"trained":1,"longest":3})",
                             R"({"rows":1,"sequences":1,"tokens":2,"trained":1})"})
    EXPECT_NE(fault_of_frame(row, counts), "") << counts;
}

TEST_F(HostileNbpTest, Frames) {
  const auto frame = [&](const std::string& raw, const char* want) {
    const std::string said = fault_of_frame(raw, kOneRow);
    EXPECT_NE(said.find(cat("frame 0 (rows 0 to 0): ", want)), std::string::npos) << said;
  };
  frame("", "its rows do not add up");
  frame("1234567", "its rows do not add up");
  frame(one_row(0, 1, {}, {0}, ""), "a row has an impossible length");
  frame(one_row(17, 1, {}, {0}, ""), "a row has an impossible length");
  frame(one_row(0xffffffff, 1, {}, {0}, ""), "a row has an impossible length");
  frame(one_row(2, 0, {7, 8}, {}, "\x02"), "a row has impossible sequences");
  frame(one_row(2, 3, {7, 8}, {0, 1, 1}, "\x02"), "a row has impossible sequences");
  frame(one_row(2, 1, {7, 8}, {0}, ""), "its rows do not add up");
  frame(one_row(2, 1, {7, 8}, {0}, "\x02\x02"), "its rows do not add up");
  frame(one_row(2, 1, {7, 300}, {0}, "\x02"), "a token is not in the vocabulary");
  frame(one_row(2, 1, {7, 8}, {1}, "\x02"), "a sequence starts at an impossible place");
  frame(one_row(2, 2, {7, 8}, {0, 0}, "\x02"), "a sequence starts at an impossible place");
  frame(one_row(2, 2, {7, 8}, {0, 2}, "\x02"), "a sequence starts at an impossible place");
  frame(one_row(2, 1, {7, 8}, {0}, "\x03"), "the first token of a sequence is marked");
  frame(one_row(2, 1, {7, 8}, {0}, "\x06"), "a mask is longer than its row");

  Parts parts;  // the index asks for more memory than a frame can need
  parts.frames = {compress("")};
  parts.raw_bytes = {0xffffffff};
  parts.summary = kOneRow;
  build(parts);
  EXPECT_NE(fault().find("the sizes of frame 0 are impossible"), std::string::npos) << fault();
  parts.raw_bytes = {13};  // not what zstd's header says
  build(parts);
  EXPECT_NE(fault().find("its size is not the index's"), std::string::npos) << fault();
  parts.frames = {"no zstd frame"};
  build(parts);
  EXPECT_NE(fault().find("frame 0"), std::string::npos) << fault();
}

TEST_F(HostileNbpTest, Preferences) {
  const auto kind = [&](const char* name, const std::string& raw, const char* counts) {
    Parts parts;
    parts.version = 2;
    parts.header.insert(1, cat("\"kind\":\"", name, "\","));
    parts.frames = {compress(raw)};
    parts.raw_bytes = {static_cast<uint32_t>(raw.size())};
    parts.summary = counts;
    build(parts);
    return fault();
  };
  const char* two = R"({"rows":1,"sequences":2,"tokens":4,"trained":0,"longest":2})";
  const char* one = R"({"rows":1,"sequences":1,"tokens":4,"trained":0,"longest":4})";
  const std::string none(1, '\0');
  EXPECT_EQ(kind("pairs", one_row(4, 2, {1, 2, 3, 4}, {0, 2}, none), two), "");
  EXPECT_NE(kind("pairs", one_row(4, 1, {1, 2, 3, 4}, {0}, none), one).find("half a preference"),
            std::string::npos);
  EXPECT_EQ(kind("rated", one_row(4, 2, {1, 2, 3, 4}, {0, 2}, none + "\x03"), two), "");
  EXPECT_NE(kind("rated", one_row(4, 2, {1, 2, 3, 4}, {0, 2}, none + "\x04"), two)
                .find("more ratings than sequences"),
            std::string::npos);
  EXPECT_NE(kind("rated", one_row(4, 2, {1, 2, 3, 4}, {0, 2}, none), two).find("do not add up"),
            std::string::npos);
  EXPECT_NE(kind("other", one_row(4, 2, {1, 2, 3, 4}, {0, 2}, none), two).find("\"kind\""),
            std::string::npos);
}

TEST_F(NbpTest, MissingFolderAndUnwritablePaths) {
  EXPECT_THROW(ShardReader{path("none.nbp")}, NoInputError);
  EXPECT_THROW(ShardReader{folder_}, NoInputError);
  EXPECT_THROW(ShardWriter(folder_ / "none" / "a.nbp", small_info()), CannotCreateError);
}

TEST_F(NbpTest, FullDevice) {
  ShardWriter writer("/dev/full", small_info());
  EXPECT_THROW(
      {
        writer.add({.tokens = {1}, .trained = {0}, .starts = {0}});
        writer.commit();
      },
      IoError);
}

}  // namespace
}  // namespace nibble
