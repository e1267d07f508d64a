// SPDX-License-Identifier: Apache-2.0
// Tables and rows of message trees as records, and finding out which form a file has.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "data/form_detector.h"
#include "data/records.h"

namespace nibble {
namespace {

using Lines = std::vector<std::string>;

class RecordFormsTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / cat("nibble-forms-", static_cast<int64_t>(getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string file(const std::string& text, const char* name) const {
    const fs::path path = folder_ / name;
    std::ofstream(path, std::ios::binary) << text;
    return path.string();
  }
  /// "LINE:TEXT", with ! before what is faulty, or what was thrown.
  Lines read(const std::string& text, RecordForm form = RecordForm::kCsv,
             const char* name = "a") const {
    Lines all;
    try {
      RecordReader reader(file(text, name), form);
      Record record;
      while (reader.next(record))
        all.push_back(cat(record.line, record.faulty ? ":!" : ":", record.text));
    } catch (const DataError& e) {
      all.push_back(std::string(e.what()).substr(folder_.string().size() + 1));
    }
    return all;
  }

  fs::path folder_;
};

TEST_F(RecordFormsTest, Tables) {
  EXPECT_EQ(read(""), Lines{});
  EXPECT_EQ(read("a,b\n"), Lines{});
  EXPECT_EQ(read("a,b\n1,2\n\n3,\n"), (Lines{R"(2:{"a":"1","b":"2"})", R"(4:{"a":"3","b":""})"}));
  EXPECT_EQ(read("a,b\r\n1,2\r\n3,4"), (Lines{R"(2:{"a":"1","b":"2"})", R"(3:{"a":"3","b":"4"})"}));
  EXPECT_EQ(read("\xef\xbb\xbf\"a\",\"b c\"\n\"x,\"\"y\"\"\n\r\nz\",w\"w\n\"\",\"\"\n"),
            (Lines{R"(2:{"a":"x,\"y\"\n\r\nz","b c":"w\"w"})", R"(5:{"a":"","b c":""})"}));
  EXPECT_EQ(read("a\tb\n1,2\t\"3\t4\"\n", RecordForm::kTsv), Lines{R"(2:{"a":"1,2","b":"3\t4"})"});
  EXPECT_EQ(read(",a\n0,x\n1,y\n"), (Lines{R"(2:{"a":"x"})", R"(3:{"a":"y"})"}));
  EXPECT_EQ(read("text\n\"\"\n"), Lines{R"(2:{"text":""})"});
}

TEST_F(RecordFormsTest, FaultyRowsOfTables) {
  EXPECT_EQ(
      read("a,b\n1\n1,2,3\n\"x\"y,2\n3,4\n"),
      (Lines{"2:!has 1 cell, where the header has 2", "3:!has 3 cells, where the header has 2",
             "4:!cell 1 goes on after its closing quote", R"(5:{"a":"3","b":"4"})"}));
  EXPECT_EQ(read("a,b\n1,2\n\"3,4\n5,6\n"),
            (Lines{R"(2:{"a":"1","b":"2"})", "3:!a quote that opens in this row is never closed"}));
  EXPECT_EQ(read("a,b\n\xff,1\n2,3\n"),
            (Lines{"2:!column \"a\" is no UTF-8", R"(3:{"a":"2","b":"3"})"}));
  EXPECT_EQ(read(std::string("a\nx\0y\n", 6)), Lines{"2:!column \"a\" has a NUL byte"});
  EXPECT_EQ(read("a,a\n"), Lines{"a:1: two columns are named \"a\"; the first row of a table names "
                                 "its columns"});
  EXPECT_EQ(read("\n,\n"), Lines{"a:2: the first row names no column; the first row of a table "
                                 "names its columns"});
  EXPECT_EQ(read("\xff\n1\n"), Lines{"a:1: its header is no UTF-8; the first row of a table names "
                                     "its columns"});
}

// A table is cut the same wherever the reads of the file end.
TEST_F(RecordFormsTest, TablesLargerThanABuffer) {
  std::string text = "n,text\n";
  Lines want;
  int64_t line = 2;
  for (int i = 0; i < 3000; ++i) {
    const std::string x(static_cast<size_t>(i), 'x');
    text += cat(i, ",\"", x, "\"\"\n,\"\n");
    want.push_back(cat(line, ":{\"n\":\"", i, "\",\"text\":\"", x, "\\\"\\n,\"}"));
    line += 2;
  }
  EXPECT_EQ(read(text), want);
}

TEST_F(RecordFormsTest, TablesAreFoundByNameOrFirstLine) {
  const Lines want = {R"(2:{"text":"1","b":"2"})"};
  const auto found = [&](const std::string& text, const char* name) {
    return read(text, RecordForm::kExamples, name);
  };
  EXPECT_EQ(found("text,b\n1,2\n", "x.csv"), want);
  EXPECT_EQ(found("text\tb\n1\t2\n", "x.tsv"), want);
  EXPECT_EQ(found("text,b\n1,2\n", "x"), want);
  EXPECT_EQ(found("\"text\"\t\"b\"\n1\t2\n", "x.txt"), want);
  EXPECT_EQ(found("text\n1\n", "x.csv"), Lines{R"(2:{"text":"1"})"});
  // One column without a name of the file that says so may be anything.
  EXPECT_EQ(found("text\n1\n", "x"), (Lines{"1:text", "2:1"}));
  EXPECT_EQ(found("text,b\n1,2\n", "x.jsonl"), (Lines{"1:text,b", "2:1,2"}));
  EXPECT_EQ(found("{\"a\":1,\"b\":2}\n", "x"), Lines{R"(1:{"a":1,"b":2})"});
  EXPECT_EQ(found("[1,2]", "x"), (Lines{"1:1", "1:2"}));
  // Whoever reads records alone sees lines.
  EXPECT_EQ(read("text,b\n", RecordForm::kJson, "x.csv"), Lines{"1:text,b"});
}

std::string row(int id, int parent, const char* tree) {
  return cat(R"({"message_id":")", id, R"(","parent_id":)",
             parent ? cat("\"", parent, "\"") : std::string("null"),
             R"(,"text":"t","role":"assistant","message_tree_id":")", tree, "\"}");
}

TEST_F(RecordFormsTest, RowsOfTrees) {
  const std::string a = row(1, 0, "x"), b = row(2, 1, "x"), c = row(3, 0, "y"), d = row(4, 3, "y");
  const auto joined = [](const std::string& rows) {
    return cat("{\"message_tree\":[", rows, "]}");
  };
  const auto found = [&](const std::string& text) {
    return read(text, RecordForm::kExamples, "x.jsonl");
  };
  EXPECT_EQ(found(a + "\n" + b + "\n" + c + "\n" + d + "\n"),
            (Lines{"1:" + joined(a + "," + b), "3:" + joined(c + "," + d)}));
  EXPECT_EQ(found("[" + a + "," + b + "]"), Lines{"1:" + joined(a + "," + b)});
  EXPECT_EQ(found(a), Lines{"1:" + joined(a)});
  // A reply of another tree, and what is no message.
  EXPECT_EQ(found(a + "\n" + d + "\n{}\n" + c),
            (Lines{"1:" + joined(a), "2:" + joined(d), "3:{}", "4:" + joined(c)}));
  // Only where the first record is such a row.
  EXPECT_EQ(found("{}\n" + a + "\n" + b), (Lines{"1:{}", "2:" + a, "3:" + b}));
  EXPECT_EQ(read(a + "\n" + b, RecordForm::kJson), (Lines{"1:" + a, "2:" + b}));
}

TEST_F(RecordFormsTest, OneFormAFile) {
  const auto fault = [&](const Form* given, const std::string& first, const std::string& second) {
    RecordReader reader(file(first + "\n" + second + "\n", "a"));
    Record record;
    EXPECT_TRUE(reader.next(record));
    FormDetector detector(given);
    detector.begin_file({&record, 1}, own_names());
    EXPECT_TRUE(reader.next(record));
    try {
      detector.form_of(Fields(parse_record(record.text), own_names()));
    } catch (const DataError& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  const std::string alpaca = R"({"instruction":"a","output":"b"})", text = R"({"text":"a"})",
                    rated = R"({"instruction":"a","output":"b","label":true})";
  const std::string place = (folder_ / "a").string() + ":1)";
  EXPECT_EQ(fault(nullptr, alpaca, alpaca), "");
  EXPECT_EQ(fault(nullptr, alpaca, text),
            "of the form text, where the file is of the form alpaca (" + place);
  EXPECT_EQ(fault(nullptr, alpaca, rated),
            "of the form kto, where the file is of the form alpaca (" + place);
  EXPECT_EQ(fault(nullptr, alpaca, R"({"a":1})"),
            "of no known form (it has \"a\"), where the file is of the form alpaca (" + place);
  EXPECT_EQ(fault(&kAlpacaForm, text, alpaca), "");
  EXPECT_EQ(fault(&kAlpacaForm, text, rated), "");
  EXPECT_EQ(fault(&kAlpacaForm, alpaca, text), "of the form text, not alpaca, as --from says");
}

}  // namespace
}  // namespace nibble
