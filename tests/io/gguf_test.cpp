// SPDX-License-Identifier: Apache-2.0
#include "io/gguf.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "base/error.h"
#include "support/folder_test.h"

namespace nibble {
namespace {

class Gguf : public test::FolderTest {};

// Without the fsync of write_text_file, of which these tests would make hundreds.
void spit(const fs::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary) << bytes;
}

template <class T>
std::string raw(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}
std::string text(const std::string& s) {
  return raw(uint64_t{s.size()}) + s;
}
std::string head(uint64_t tensors, uint64_t pairs, uint32_t version = 3) {
  return "GGUF" + raw(version) + raw(tensors) + raw(pairs);
}
std::string entry(const std::string& name, const std::vector<uint64_t>& dims, uint32_t type,
                  uint64_t offset) {
  std::string out = text(name) + raw(static_cast<uint32_t>(dims.size()));
  for (const uint64_t d : dims) out += raw(d);
  return out + raw(type) + raw(offset);
}
// Pads to 32 and appends `bytes` of data.
std::string with_data(std::string file, size_t bytes) {
  file.resize((file.size() + 31) / 32 * 32);
  return file + std::string(bytes, '\1');
}

TEST_F(Gguf, RoundTrip) {
  GgufMetadata meta;
  meta.string("general.architecture", "llama");
  meta.u32("llama.block_count", 7);
  meta.f32("llama.eps", 1e-5f);
  meta.boolean("flag", true);
  const std::vector<std::string> words = {"a", "", "\xc4\xa0the"};
  meta.strings("words", words);
  meta.f32s("scores", std::vector<float>{-1.5f, 0.0f});
  meta.i32s("types", std::vector<int32_t>{3, -1});
  const std::vector<GgufTensorInfo> infos = {{"first", GgmlType::kF32, {3}},
                                             {"second", GgmlType::kQ8_0, {2, 64}},
                                             {"third", GgmlType::kBf16, {5, 1}}};
  std::vector<std::string> data;
  {
    GgufWriter out(path("x.gguf"), meta, infos);
    for (const GgufTensorInfo& info : infos) {
      ASSERT_EQ(out.current()->name, info.name);
      data.emplace_back(gguf_tensor_bytes(info), static_cast<char>('0' + data.size()));
      out.write(data.back().data(), 1);
      out.write(data.back().data() + 1, data.back().size() - 1);
    }
    EXPECT_EQ(out.current(), nullptr);
    EXPECT_FALSE(fs::exists(path("x.gguf")));
    out.commit();
  }
  const GgufFile in(path("x.gguf"));
  EXPECT_EQ(in.version(), 3u);
  ASSERT_EQ(in.metadata().size(), 7u);
  EXPECT_EQ(in.metadata()[1].first, "llama.block_count");
  EXPECT_EQ(in.text("general.architecture", ""), "llama");
  EXPECT_EQ(in.integer("llama.block_count", 0), 7);
  EXPECT_EQ(in.number("llama.eps", 0), 1e-5);
  EXPECT_TRUE(in.boolean("flag", false));
  EXPECT_EQ(in.integer("absent", 11), 11);
  const GgufValue* stored = in.find("words");
  ASSERT_TRUE(stored && stored->array);
  EXPECT_EQ(stored->count, 3u);
  EXPECT_EQ(stored->string(2), words[2]);
  EXPECT_EQ(in.find("scores")->number(0), -1.5);
  EXPECT_EQ(in.find("types")->integer(1), -1);
  ASSERT_EQ(in.tensors().size(), 3u);
  for (size_t i = 0; i < infos.size(); ++i) {
    const GgufTensor* t = in.find_tensor(infos[i].name);
    ASSERT_NE(t, nullptr);
    EXPECT_EQ(t->type, infos[i].type);
    EXPECT_EQ(t->shape, infos[i].shape);
    ASSERT_EQ(t->bytes.size(), data[i].size());
    EXPECT_EQ(std::memcmp(t->bytes.data(), data[i].data(), data[i].size()), 0);
    EXPECT_EQ((t->bytes.data() - in.file().bytes().data()) % 32, 0);
  }
}

TEST_F(Gguf, ReadsEveryScalarTypeAndVersion2) {
  const auto pair = [](const std::string& key, GgufType type, const std::string& value) {
    return text(key) + raw(static_cast<uint32_t>(type)) + value;
  };
  write_text_file(
      path("v2.gguf"),
      with_data(head(1, 12, 2) + pair("u8", GgufType::kU8, raw(uint8_t{200})) +
                    pair("i8", GgufType::kI8, raw(int8_t{-3})) +
                    pair("u16", GgufType::kU16, raw(uint16_t{60000})) +
                    pair("i16", GgufType::kI16, raw(int16_t{-300})) +
                    pair("u32", GgufType::kU32, raw(uint32_t{4000000000})) +
                    pair("i32", GgufType::kI32, raw(int32_t{-5})) +
                    pair("u64", GgufType::kU64, raw(uint64_t{1} << 40)) +
                    pair("big", GgufType::kU64, raw(UINT64_MAX)) +
                    pair("i64", GgufType::kI64, raw(int64_t{-6})) +
                    pair("f32", GgufType::kF32, raw(0.5f)) + pair("f64", GgufType::kF64, raw(0.1)) +
                    pair("nan", GgufType::kF32, raw(std::numeric_limits<float>::quiet_NaN())) +
                    entry("t", {4}, 0, 0),
                16));
  const GgufFile in(path("v2.gguf"));
  EXPECT_EQ(in.version(), 2u);
  EXPECT_EQ(in.integer("u8", 0), 200);
  EXPECT_EQ(in.integer("i8", 0), -3);
  EXPECT_EQ(in.integer("u16", 0), 60000);
  EXPECT_EQ(in.integer("i16", 0), -300);
  EXPECT_EQ(in.integer("u32", 0), 4000000000);
  EXPECT_EQ(in.integer("i32", 0), -5);
  EXPECT_EQ(in.integer("u64", 0), int64_t{1} << 40);
  EXPECT_EQ(in.integer("i64", 0), -6);
  EXPECT_EQ(in.number("f32", 0), 0.5);
  EXPECT_EQ(in.number("f64", 0), 0.1);
  EXPECT_EQ(in.number("i32", 0), -5.0);
  EXPECT_EQ(in.number("big", 0), 0x1p64);
  EXPECT_THROW(in.integer("big", 0), DataError);
  EXPECT_THROW(in.number("nan", 0), DataError);
  EXPECT_THROW(in.text("u8", ""), DataError);
  EXPECT_THROW(in.boolean("u8", true), DataError);
  EXPECT_THROW(in.integer("f32", 0), DataError);
}

TEST_F(Gguf, HostileFiles) {
  const uint32_t kString = 8, kArray = 9, kU32 = 4;
  const std::string one = entry("t", {32}, 0, 0);
  const struct {
    const char* name;
    std::string bytes;
    const char* says;
  } cases[] = {
      {"empty", "", "ends inside the magic number"},
      {"magic", "GGML" + std::string(100, '\0'), "no GGUF file"},
      {"version 1", head(0, 0, 1), "version 1"},
      {"version 4", head(0, 0, 4), "version 4"},
      {"big endian", head(0, 0, 0x03000000), "big-endian"},
      {"no counts", std::string("GGUF\3\0\0\0", 8), "ends inside tensors"},
      {"tensor count", head(UINT64_MAX, 0), "claims 18446744073709551615 tensors"},
      {"pair count", head(0, UINT64_MAX / 2), "metadata pairs"},
      {"key length", head(0, 1) + raw(UINT64_MAX) + std::string(32, 'k'), "a metadata key"},
      {"empty key", head(0, 1) + text("") + raw(kU32) + raw(kU32), "0 bytes long"},
      {"long key", head(0, 1) + text(std::string(65536, 'k')) + raw(kU32) + raw(kU32),
       "65536 bytes long"},
      {"key twice",
       head(0, 2) + text("k") + raw(kU32) + raw(kU32) + text("k") + raw(kU32) + raw(kU32),
       "\"k\" comes twice"},
      {"value type", head(0, 1) + text("k") + raw(uint32_t{13}) + raw(kU32), "value type 13"},
      {"value cut", head(0, 1) + text("key") + raw(kString) + raw(uint64_t{5}) + "abc",
       "ends inside metadata \"key\""},
      {"string length", head(0, 1) + text("k") + raw(kString) + raw(UINT64_MAX - 7), "ends inside"},
      {"array type", head(0, 1) + text("k") + raw(kArray) + raw(uint32_t{99}) + raw(uint64_t{1}),
       "value type 99"},
      {"array of arrays", head(0, 1) + text("k") + raw(kArray) + raw(kArray) + raw(uint64_t{1}),
       "array of arrays"},
      {"array length",
       head(0, 1) + text("k") + raw(kArray) + raw(kU32) + raw(UINT64_MAX / 4 + 2) + raw(kU32),
       "claims"},
      {"string array length",
       head(0, 1) + text("k") + raw(kArray) + raw(kString) + raw(uint64_t{9}) + text("a"),
       "claims 9"},
      {"alignment 0", head(0, 1) + text("general.alignment") + raw(kU32) + raw(uint32_t{0}),
       "general.alignment is 0"},
      {"alignment 24", head(0, 1) + text("general.alignment") + raw(kU32) + raw(uint32_t{24}),
       "general.alignment is 24"},
      {"alignment text", head(0, 1) + text("general.alignment") + raw(kString) + text("32"),
       "expected an integer, found string"},
      {"no data", head(1, 0) + one, "beyond the end"},
      {"short data", with_data(head(1, 0) + one, 127), "beyond the end"},
      {"rank 0", with_data(head(1, 0) + entry("t", {}, 0, 0), 128), "rank 0"},
      {"rank 5", with_data(head(1, 0) + entry("t", {1, 1, 1, 1, 1}, 0, 0), 128), "rank 5"},
      {"rank huge", head(1, 0) + text("t") + raw(UINT32_MAX) + std::string(64, '\1'),
       "rank 4294967295"},
      {"dimension 0", with_data(head(1, 0) + entry("t", {0}, 0, 0), 128), "dimension of 0"},
      {"dimension -1", with_data(head(1, 0) + entry("t", {UINT64_MAX}, 0, 0), 128), "dimension of"},
      {"too many elements", with_data(head(1, 0) + entry("t", {1ull << 32, 1ull << 32}, 0, 0), 128),
       "can be counted"},
      {"too many bytes", with_data(head(1, 0) + entry("t", {1ull << 62}, 0, 0), 128),
       "can be counted"},
      {"element type", with_data(head(1, 0) + entry("t", {32}, 5, 0), 128), "element type 5"},
      {"rows and blocks", with_data(head(1, 0) + entry("t", {33}, 8, 0), 128),
       "rows of 33, not whole blocks of 32 (Q8_0)"},
      {"offset", with_data(head(1, 0) + entry("t", {8}, 0, 1ull << 63), 128), "beyond the end"},
      {"offset wraps", with_data(head(1, 0) + entry("t", {8}, 0, UINT64_MAX - 31), 128), "beyond"},
      {"offset odd", with_data(head(1, 0) + entry("t", {8}, 0, 8), 128), "not a multiple of 32"},
      {"overlap", with_data(head(2, 0) + one + entry("u", {32}, 0, 64), 256), "overlap"},
      {"name twice", with_data(head(2, 0) + one + entry("t", {32}, 0, 128), 256), "comes twice"},
      {"name empty", with_data(head(1, 0) + entry("", {32}, 0, 0), 128), "name is 0 bytes long"},
      {"name of two lines", with_data(head(1, 0) + entry("a\nb", {0}, 0, 0), 128), "\"a?b\""},
  };
  for (const auto& c : cases) {
    spit(path("bad.gguf"), c.bytes);
    try {
      const GgufFile in(path("bad.gguf"));
      ADD_FAILURE() << c.name << ": accepted";
    } catch (const DataError& e) {
      const std::string message = e.what();
      EXPECT_NE(message.find(c.says), std::string::npos) << c.name << ": " << message;
      EXPECT_NE(message.find("bad.gguf: "), std::string::npos) << c.name << ": " << message;
      EXPECT_EQ(message.find('\n'), std::string::npos) << c.name << ": " << message;
    }
  }
}

// Every prefix of a good file is refused, whatever it is cut inside of; the file itself is read.
TEST_F(Gguf, EveryTruncationIsRefused) {
  GgufMetadata meta;
  meta.string("general.architecture", "llama");
  meta.strings("words", std::vector<std::string>{"ab", "c"});
  {
    GgufWriter out(path("good.gguf"), meta,
                   {{"t", GgmlType::kQ4_0, {1, 32}}, {"u", GgmlType::kF32, {8}}});
    out.write(std::string(18, 'x').data(), 18);
    out.write(std::string(32, 'y').data(), 32);
    out.commit();
  }
  const std::string good = read_text_file(path("good.gguf"));
  EXPECT_NO_THROW(GgufFile{path("good.gguf")});
  for (size_t n = 0; n < good.size(); ++n) {
    spit(path("cut.gguf"), good.substr(0, n));
    EXPECT_THROW(GgufFile{path("cut.gguf")}, DataError) << n << " of " << good.size() << " bytes";
  }
}

TEST_F(Gguf, MissingAndUnwritable) {
  EXPECT_THROW(GgufFile{path("none.gguf")}, NoInputError);
  EXPECT_THROW(GgufWriter(path("no/such/folder.gguf"), {}, {}), CannotCreateError);
  if (fs::exists("/dev/full")) {
    const auto fill = [] {
      GgufWriter out("/dev/full", {}, {{"t", GgmlType::kF32, {1 << 20}}});
      const std::vector<float> zeros(1 << 20);
      out.write(zeros.data(), zeros.size() * sizeof(float));
      out.commit();
    };
    EXPECT_THROW(fill(), IoError);
  }
}

}  // namespace
}  // namespace nibble
