// SPDX-License-Identifier: Apache-2.0
// safetensors: what is written comes back, in one file or in shards, and a file that lies is
// refused by name before any of its numbers is used.
#include "io/safetensors.h"

#include <cstring>
#include <fstream>

#include "base/error.h"
#include "base/rng.h"
#include "support/folder_test.h"

namespace nibble::test {
namespace {

class SafetensorsTest : public FolderTest {
 protected:
  /// A file of that header and so many bytes after it.
  fs::path put(const std::string& header, size_t bytes) const {
    const uint64_t length = header.size();
    std::string file(reinterpret_cast<const char*>(&length), 8);
    file += header;
    file += std::string(bytes, '\1');
    write_text_file(path("x.safetensors"), file);
    return path("x.safetensors");
  }
  std::string fault(const fs::path& file) const {
    std::string text = thrown([&] { TensorStore store(file); });
    if (const size_t at = text.find(folder().string()); at != std::string::npos)
      text.replace(at, folder().string().size(), "@");
    return text;
  }
  /// Without the care for durability that a result is given.
  static void spit(const fs::path& file, const std::string& bytes) {
    std::ofstream(file, std::ios::binary) << bytes;
  }
  /// Three tensors of 96, 0 and 20 bytes.
  fs::path good(size_t shard = SIZE_MAX) const {
    TensorWriter writer(
        folder(),
        {tensor_info("b.weight", Dtype::kF32, {4, 6}), tensor_info("none", Dtype::kF16, {0, 3}),
         tensor_info("c", Dtype::kBf16, {10})},
        {{"format", "pt"}, {"note", "hello"}}, shard);
    std::string bytes(116, '\0');
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i);
    writer.write(bytes.data(), 50);
    writer.write(bytes.data() + 50, 46);
    EXPECT_EQ(writer.current()->name, "c");
    writer.write(bytes.data() + 96, 20);
    EXPECT_EQ(writer.current(), nullptr);
    writer.finish();
    return folder();
  }
};

TEST_F(SafetensorsTest, RoundTrip) {
  // A tensor without bytes needs no shard of its own.
  for (const size_t shard : {SIZE_MAX, size_t{100}, size_t{1}}) {
    for (const auto& entry : fs::directory_iterator(folder())) fs::remove(entry.path());
    const TensorStore store(good(shard));
    EXPECT_EQ(store.files().size(), shard == SIZE_MAX ? 1u : 2u);
    ASSERT_EQ(store.tensors().size(), 3u);
    EXPECT_EQ(store.metadata().at("note"), "hello");
    EXPECT_EQ(store.at("b.weight").info.shape, (std::vector<int64_t>{4, 6}));
    EXPECT_EQ(store.at("none").bytes.size(), 0u);
    EXPECT_EQ(store.at("c").info.dtype, Dtype::kBf16);
    EXPECT_EQ(static_cast<int>(store.at("b.weight").bytes[95]), 95);
    EXPECT_EQ(static_cast<int>(store.at("c").bytes[0]), 96);
    EXPECT_EQ(store.find("d"), nullptr);
    EXPECT_THROW(store.at("d"), DataError);
  }
}

TEST_F(SafetensorsTest, HeadersThatLie) {
  const std::string f32 = R"("dtype":"F32",)";
  const struct {
    std::string header;
    size_t bytes;
    const char* want;
  } cases[] = {
      {"", 0, "not JSON"},
      {"{", 0, "not JSON"},
      {"[]", 0, "the header is no JSON object"},
      {"null", 0, "the header is no JSON object"},
      {R"({"t":[]})", 0, "tensor \"t\": "},
      {R"({"t":{}})", 0, "tensor \"t\": "},
      {R"({"__metadata__":[]})", 0, "__metadata__ is no JSON object"},
      {R"({"t":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}})", 4,
       "dtype F33 is not supported"},
      {R"({"t":{"dtype":7,"shape":[1],"data_offsets":[0,4]}})", 4, "tensor \"t\": "},
      {R"({"t":{)" + f32 + R"("shape":1,"data_offsets":[0,4]}})", 4, "tensor \"t\": "},
      {R"({"t":{)" + f32 + R"("shape":[1.5],"data_offsets":[0,4]}})", 4, "tensor \"t\": "},
      {R"({"t":{)" + f32 + R"("shape":[-1],"data_offsets":[0,4]}})", 4, "do not fit its 4 bytes"},
      {R"({"t":{)" + f32 + R"("shape":[2],"data_offsets":[0,4]}})", 4, "do not fit its 4 bytes"},
      {R"({"t":{)" + f32 + R"("shape":[1],"data_offsets":[0]}})", 4, "has not two numbers"},
      {R"({"t":{)" + f32 + R"("shape":[1],"data_offsets":[0,4,8]}})", 4, "has not two numbers"},
      {R"({"t":{)" + f32 + R"("shape":[1],"data_offsets":[4,0]}})", 4, "lie outside the file's 4"},
      {R"({"t":{)" + f32 + R"("shape":[1],"data_offsets":[-4,0]}})", 4, "lie outside"},
      {R"({"t":{)" + f32 + R"("shape":[1],"data_offsets":[1,5]}})", 4, "lie outside"},
      {R"({"t":{)" + f32 +
           R"("shape":[1],"data_offsets":[9223372036854775804,9223372036854775807]}})",
       4, "lie outside"},
      {R"({"t":{)" + f32 + R"("shape":[1],"data_offsets":[0,18446744073709551615]}})", 4,
       "tensor \"t\": "},
      {R"({"t":{)" + f32 + R"("shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 4,
       "do not fit its 0 bytes"},
      {R"({"t":{)" + f32 + R"("shape":[1],"data_offsets":[0,4]},"u":{)" + f32 +
           R"("shape":[1],"data_offsets":[3,7]}})",
       8, "tensor \"u\": overlaps \"t\""},
      {R"({"t":{)" + f32 + R"("shape":[2],"data_offsets":[0,8]},"u":{)" + f32 +
           R"("shape":[1],"data_offsets":[2,6]}})",
       8, "overlaps"},
      {R"({"t":{)" + f32 + R"("shape":[1],"data_offsets":[0,4]},"t":{)" + f32 +
           R"("shape":[1],"data_offsets":[4,8]}})",
       8, "tensor \"t\": stored twice"},
  };
  for (const auto& c : cases) {
    const std::string text = fault(put(c.header, c.bytes));
    EXPECT_TRUE(text.starts_with("65: @/x.safetensors: ")) << c.header << ": " << text;
    EXPECT_NE(text.find(c.want), std::string::npos) << c.header << ": " << text;
  }
  const std::string deep = std::string(100000, '[');
  EXPECT_TRUE(fault(put(deep, 0)).starts_with("65: @/x.safetensors: ")) << fault(put(deep, 0));
}

TEST_F(SafetensorsTest, LengthsThatLie) {
  const fs::path file = path("x.safetensors");
  for (const std::string& bytes : {std::string(), std::string(7, '\0')}) {
    write_text_file(file, bytes);
    EXPECT_EQ(fault(file),
              "65: @/x.safetensors: shorter than a safetensors header; the file is "
              "damaged, fetch it again");
  }
  for (const uint64_t length : {uint64_t{1}, uint64_t{100} << 20, uint64_t{1} << 63, UINT64_MAX}) {
    write_text_file(file, std::string(reinterpret_cast<const char*>(&length), 8));
    EXPECT_EQ(fault(file), cat("65: @/x.safetensors: a header of ", length,
                               " bytes in a file of 8; the file is damaged, fetch it again"));
  }
  good();
  const std::string whole = read_text_file(path("model.safetensors"));
  for (size_t n = 0; n < whole.size(); ++n) {
    spit(file, whole.substr(0, n));
    EXPECT_TRUE(fault(file).starts_with("65: @/x.safetensors: ")) << n << ": " << fault(file);
  }
}

// Whatever bytes change, a file is read or refused; what is read lies in it.
TEST_F(SafetensorsTest, AnyBytes) {
  good();
  const std::string whole = read_text_file(path("model.safetensors"));
  const fs::path file = path("x.safetensors");
  Rng rng(1);
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = whole;
    for (uint64_t k = 0, n = 1 + rng.below(3); k < n; ++k)
      bytes[rng.below(bytes.size())] = static_cast<char>(rng.next_u32());
    spit(file, bytes);
    const std::string text = thrown([&] {
      const TensorStore store(file);
      for (const auto& [name, t] : store.tensors()) {
        ASSERT_LE(t.offset + t.bytes.size(), bytes.size());
        ASSERT_EQ(t.bytes.size(), t.info.bytes);
        ASSERT_EQ(std::memcmp(t.bytes.data(), bytes.data() + t.offset, t.bytes.size()), 0);
      }
    });
    EXPECT_TRUE(text == "nothing thrown" || text.starts_with("65: ")) << text;
    EXPECT_FALSE(text.ends_with("(more than one line)")) << text;
  }
}

TEST_F(SafetensorsTest, Indices) {
  good(1);
  const fs::path index = path("model.safetensors.index.json");
  const std::string whole = read_text_file(index);
  const auto with = [&](const std::string& text) {
    write_text_file(index, text);
    return fault(folder());
  };
  EXPECT_TRUE(with("").starts_with("65: @/model.safetensors.index.json: "));
  EXPECT_TRUE(with("{}").starts_with("65: @/model.safetensors.index.json: "));
  EXPECT_TRUE(
      with(R"({"weight_map":{"c":1}})").starts_with("65: @/model.safetensors.index.json: "));
  for (const char* outside : {"../x.safetensors", "/etc/passwd", "a/b.safetensors", ".."})
    EXPECT_NE(with(cat(R"({"weight_map":{"c":")", outside, "\"}}")).find("lies outside the folder"),
              std::string::npos);
  EXPECT_EQ(with(R"({"weight_map":{"c":"model-00009-of-00009.safetensors"}})"),
            "66: @/model-00009-of-00009.safetensors: this shard, named by the index, is missing; "
            "fetch it");
  EXPECT_EQ(with(R"({"weight_map":{"d":"model-00001-of-00002.safetensors"}})"),
            "65: @/model-00001-of-00002.safetensors: no tensor \"d\", which the index promises; "
            "fetch the shard again");
  write_text_file(index, whole);
  EXPECT_EQ(fault(folder()), "nothing thrown");
  fs::copy_file(path("model-00001-of-00002.safetensors"), path("model-00002-of-00002.safetensors"),
                fs::copy_options::overwrite_existing);
  EXPECT_NE(fault(folder()).find("stored twice"), std::string::npos) << fault(folder());
  fs::remove(index);
  EXPECT_TRUE(fault(folder()).starts_with("66: @: no model.safetensors and no "))
      << fault(folder());
}

}  // namespace
}  // namespace nibble::test
