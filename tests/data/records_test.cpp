// SPDX-License-Identifier: Apache-2.0
#include "data/records.h"

#include <gtest/gtest.h>
#include <unistd.h>
#include <zstd.h>

#include <fstream>

#include "base/error.h"

namespace nibble {
namespace {

class RecordsTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / cat("nibble-records-", static_cast<int64_t>(getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string file(const std::string& text, const char* name = "a.json") const {
    const fs::path path = folder_ / name;
    std::ofstream(path, std::ios::binary) << text;
    return path.string();
  }
  /// "LINE:ITEM:TEXT" of every record, or what was thrown, its folder removed.
  std::vector<std::string> read(const std::string& text) const {
    std::vector<std::string> all;
    try {
      RecordReader reader(file(text));
      Record record;
      while (reader.next(record))
        all.push_back(cat(record.line, ":", record.item, ":", record.text));
    } catch (const DataError& e) {
      all.push_back(std::string(e.what()).substr(folder_.string().size() + 1));
    }
    return all;
  }

  fs::path folder_;
};

using Lines = std::vector<std::string>;

TEST_F(RecordsTest, Lines) {
  EXPECT_EQ(read(""), Lines{});
  EXPECT_EQ(read("\n \n\t\r\n"), Lines{});
  EXPECT_EQ(read("{}\n\n{\"a\":\"[\"}\r\nnonsense"),
            (Lines{"1:-1:{}", "3:-1:{\"a\":\"[\"}", "4:-1:nonsense"}));
  EXPECT_EQ(read("\n\n  {}\n"), Lines{"3:-1:{}"});
  EXPECT_EQ(read("\xef\xbb\xbf{}\n"), Lines{"1:-1:{}"});
}

TEST_F(RecordsTest, Arrays) {
  EXPECT_EQ(read("[]"), Lines{});
  EXPECT_EQ(read(" \n[ \n]\n \n"), Lines{});
  EXPECT_EQ(read("[{},{}]"), (Lines{"1:0:{}", "1:1:{}"}));
  EXPECT_EQ(read("[\n{\n\"a\": [1, \"}]\\\"\"]}\n,\n{}\n]"),
            (Lines{"2:0:{\n\"a\": [1, \"}]\\\"\"]}", "5:1:{}"}));
  EXPECT_EQ(read("[12 , \"a,]\", null,[[],[1]]\t]"),
            (Lines{"1:0:12", "1:1:\"a,]\"", "1:2:null", "1:3:[[],[1]]"}));
  EXPECT_EQ(read("\xef\xbb\xbf[{}]"), Lines{"1:0:{}"});
  EXPECT_EQ(read(R"(["\\", "\\\"", "a"])"),
            (Lines{"1:0:\"\\\\\"", "1:1:\"\\\\\\\"\"", "1:2:\"a\""}));
}

TEST_F(RecordsTest, BrokenArrays) {
  const std::string remedy = "; is the file complete?";
  EXPECT_EQ(read("["), Lines{"a.json:1: the array ends early" + remedy});
  EXPECT_EQ(read("[{}"), (Lines{"1:0:{}", "a.json:1: the array ends early" + remedy}));
  EXPECT_EQ(read("[\n{},\n"), (Lines{"2:0:{}", "a.json:3: the array ends early" + remedy}));
  EXPECT_EQ(read("[\n{\n"), Lines{"a.json:3: the array ends early" + remedy});
  EXPECT_EQ(read("[\"a"), Lines{"a.json:1: the array ends early" + remedy});
  EXPECT_EQ(read("[{},]"),
            (Lines{"1:0:{}", "a.json:1: the array has a comma at its end" + remedy}));
  EXPECT_EQ(read("[,{}]"), Lines{"a.json:1: the array has an empty item" + remedy});
  EXPECT_EQ(read("[{},,{}]"), (Lines{"1:0:{}", "a.json:1: the array has an empty item" + remedy}));
  EXPECT_EQ(read("[{}{}]"),
            (Lines{"1:0:{}", "a.json:1: the array lacks a comma between items" + remedy}));
  EXPECT_EQ(read("[1\"a\"]"),
            (Lines{"1:0:1", "a.json:1: the array lacks a comma between items" + remedy}));
  EXPECT_EQ(read("[{}]\n{}"),
            (Lines{"1:0:{}", "a.json:2: the array is followed by more text" + remedy}));
}

// An array is cut the same wherever the reads of the file end.
TEST_F(RecordsTest, ArraysLargerThanABuffer) {
  std::string text = "[";
  Lines want;
  for (int i = 0; i < 3000; ++i) {
    const std::string item = cat("{\"n\":", i, ",\"text\":\"",
                                 std::string(static_cast<size_t>(i), 'x'), "\\\\\\\"]}\"}");
    text += cat(i == 0 ? "" : ",\n", item);
    want.push_back(cat(i + 1, ":", i, ":", item));
  }
  EXPECT_EQ(read(text + "]\n"), want);
}

TEST_F(RecordsTest, Zstd) {
  const std::string text = "[{},\n{}]";
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), 1));
  EXPECT_EQ(read(packed), (Lines{"1:0:{}", "2:1:{}"}));
}

class MapRecords : public RecordsTest, public testing::WithParamInterface<Overlap> {};
INSTANTIATE_TEST_SUITE_P(Either, MapRecords, testing::Values(Overlap::kNo, Overlap::kYes));

TEST_P(MapRecords, KeepsOrderOverFiles) {
  std::string a, b = "[";
  for (int i = 0; i < 20000; ++i) a += cat(i, "\n");
  for (int i = 20000; i < 30000; ++i) b += cat(i, i == 29999 ? "]" : ",");
  const std::string first = file(a, "a"), last = file(b, "b");
  int64_t next = 0;
  std::vector<std::string> begun;
  BadRecords bad(0, {});
  map_records<std::string>(
      {first, file("", "empty"), last}, bad,
      [](const Record& record, std::string& out) { out = record.text; },
      [&](const Record& record, const std::string& out) {
        ASSERT_EQ(out, cat(next));
        const auto place =
            next < 20000 ? cat(first, ":", next + 1) : cat(last, ":1, item ", next - 20000);
        ASSERT_EQ(place_of(record), place);
        ++next;
      },
      [&](std::span<const Record> records) { begun.push_back(place_of(records[0])); },
      RecordForm::kJson, GetParam());
  EXPECT_EQ(next, 30000);
  EXPECT_EQ(begun, (Lines{first + ":1", last + ":1, item 0"}));
}

// Whatever cannot be read later, what comes before is used.
TEST_P(MapRecords, UsesWhatComesBeforeAFault) {
  std::string a;
  for (int i = 0; i < 10000; ++i) a += "1\n";
  BadRecords bad(0, {});
  int64_t used = 0;
  const auto run = [&](const std::vector<std::string>& files, const auto& work) {
    used = 0;
    map_records<int>(
        files, bad, work, [&](const Record&, int) { ++used; }, {}, RecordForm::kJson, GetParam());
  };
  const std::string first = file(a, "a");
  EXPECT_THROW(run({first, (folder_ / "none").string()}, [](const Record&, int&) {}), NoInputError);
  EXPECT_EQ(used, 10000);
  EXPECT_THROW(run({first, file("1\n2\n3\n", "b")},
                   [](const Record& record, int&) {
                     if (record.text == "2") throw DataError("two");
                   }),
               DataError);
  EXPECT_EQ(used, 10001);
  EXPECT_THROW(run({first}, [](const Record&, int&) { throw UsageError("no template"); }),
               UsageError);
  EXPECT_EQ(used, 0);
}

TEST_F(RecordsTest, BadRecordsAreCountedUpToALimit) {
  const std::string path = file("1\nx\n2\ny\n3\nz\n", "a");
  const auto run = [&](int64_t allowed, std::string& used, Lines& said) {
    BadRecords bad(allowed, [&](const std::string& text) { said.push_back(text); });
    map_records<std::string>(
        {path}, bad,
        [](const Record& record, std::string& out) {
          if (record.text > "9") throw DataError(cat("no number: ", record.text));
          out = record.text;
        },
        [&](const Record&, const std::string& out) { used += out; });
    return bad.count();
  };
  std::string used;
  Lines said;
  EXPECT_EQ(run(3, used, said), 3);
  EXPECT_EQ(used, "123");
  EXPECT_EQ(said, (Lines{path + ":2: no number: x", path + ":4: no number: y",
                         path + ":6: no number: z"}));
  try {
    run(0, used, said);
    FAIL();
  } catch (const DataError& e) {
    EXPECT_EQ(e.what(), path + ":2: no number: x; mend it or use --skip-bad");
  }
  try {
    run(2, used, said);
    FAIL();
  } catch (const DataError& e) {
    EXPECT_EQ(e.what(), path + ":6: no number: z (2 bad records were passed over before it)");
  }
}

TEST_F(RecordsTest, OtherErrorsEndTheWork) {
  BadRecords bad(BadRecords::kAll, {});
  EXPECT_THROW(
      map_records<int>(
          {file("1\n2\n")}, bad, [](const Record&, int&) { throw UsageError("no template"); },
          [](const Record&, int) {}),
      UsageError);
  EXPECT_THROW(map_records<int>(
                   {(folder_ / "none").string()}, bad, [](const Record&, int&) {},
                   [](const Record&, int) {}),
               NoInputError);
}

}  // namespace
}  // namespace nibble
